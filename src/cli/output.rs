//! Results on standard output, one record a line; everything else on standard error.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use lookalike::record::ClassId;
use serde::Serialize;

use super::locate::display_path;

/// Where and how a command prints.
pub(super) struct Output {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

impl Output {
    /// Prints one line of results.
    ///
    /// # Errors
    /// When standard output is gone; a closed pipe ends the program quietly.
    pub(super) fn line(&self, text: impl AsRef<str>) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_ref().as_bytes())?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// Prints one JSON object on a line.
    ///
    /// # Errors
    /// As for [`Output::line`].
    pub(super) fn object(&self, record: &impl Serialize) -> anyhow::Result<()> {
        self.line(serde_json::to_string(record)?)
    }

    /// Tells the user something that is no result.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("lookalike: {text}");
        }
    }

    /// Tells the user of something that went wrong, also when quiet.
    pub(super) fn warn(&self, text: impl std::fmt::Display) {
        eprintln!("lookalike: {text}");
    }
}

/// A path for people: as typed from here, with control characters made visible
/// on a terminal, where they could move the cursor or change the title.
pub(super) fn shown(path: &Path) -> String {
    let text = display_path(path).to_string_lossy().into_owned();
    if std::io::stdout().is_terminal() { escape_controls(&text) } else { text }
}

/// The raw files of a shot, as they stand behind the path of its image.
pub(super) fn with_raws(raws: &[PathBuf]) -> String {
    raws.iter().map(|raw| format!("  (+raw {})", shown(raw))).collect()
}

fn escape_controls(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
                .chars()
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A path for programs: as typed from here. A name that is not UTF-8 gets
/// replacement characters.
pub(super) fn path_text(path: &Path) -> String {
    display_path(path).to_string_lossy().into_owned()
}

/// A class with its probability as `--json` prints it.
#[derive(Serialize)]
pub(super) struct ClassLine {
    pub(super) class: String,
    pub(super) probability: f32,
}

impl ClassLine {
    /// Names classes; a class that the network does not have is left out.
    pub(super) fn all(
        names: &[String],
        scores: impl Iterator<Item = (ClassId, f32)>,
    ) -> Vec<ClassLine> {
        scores
            .filter_map(|(class, probability)| {
                let class = names.get(usize::from(class.0))?.clone();
                Some(ClassLine { class, probability })
            })
            .collect()
    }
}

/// `1 image`, `2 images`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(count))
}

/// `12,345`.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1234567), "1,234,567");
        assert_eq!(counted(1, "image"), "1 image");
        assert_eq!(counted(2000, "image"), "2,000 images");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(escape_controls("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
    }
}
