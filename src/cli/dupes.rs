//! `lookalike dupes` and `lookalike leak`: images that are the same, and what to do about it.

use std::path::{Path, PathBuf};

use lookalike::imaging::{Alignment, Turn};
use lookalike::record::{ImageId, Location};
use lookalike::{
    Database, Duplicate, DuplicateGroup, DuplicateSearch, EditCalibration, Filter, KeepRules, Leak,
    Tier,
};
use serde::Serialize;

use super::args::{DupesArgs, GlobalArgs, LeakArgs};
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, locate, progress, session};

/// A group as `--json` prints it.
#[derive(Serialize)]
struct GroupLine {
    group: usize,
    tier: Tier,
    keep: FileLine,
    others: Vec<DuplicateLine>,
}

#[derive(Serialize)]
struct FileLine {
    id: ImageId,
    path: String,
}

#[derive(Serialize)]
struct DuplicateLine {
    #[serde(flatten)]
    file: FileLine,
    #[serde(flatten)]
    likeness: Likeness,
    reason: Option<&'static str>,
}

/// How two images are the same, as `--json` prints it.
#[derive(Serialize)]
struct Likeness {
    tier: Tier,
    score: Option<f32>,
    agreement: Option<f32>,
    turn: Option<Turn>,
    share: Option<f32>,
}

/// A leak as `--json` prints it.
#[derive(Serialize)]
struct LeakLine {
    train: FileLine,
    test: FileLine,
    #[serde(flatten)]
    likeness: Likeness,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &DupesArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    for (files, are_distinct) in [(&args.not_same, true), (&args.same, false)] {
        if let Some(files) = files {
            return decide(&database, files, are_distinct, output);
        }
    }
    let least = if args.apply { Tier::Reencoded } else { Tier::Edited };
    let search = DuplicateSearch {
        filter: session::filter(&database, &args.filter)?,
        up_to: args.up_to.map_or(least, Tier::from),
        similar_min: args.min_score,
        rules: rules(&database, &args.keep_in)?,
        seed: args.seed,
    };
    let bar = progress::bar("images", output.quiet);
    let on_compared = |done: usize, all: usize| progress::on_counted(&bar)(done as u64, all as u64);
    let (found, calibration) = database.duplicates(&search, &on_compared)?;
    bar.finish_and_clear();
    for (group, number) in found.groups.iter().zip(1..) {
        print(&database, group, number, output)?;
    }
    tell_calibration(&calibration, output);
    if found.without_fingerprint > 0 {
        output.warn(format_args!(
            "{} could not be compared: `lookalike index` reads what is missing",
            counted(found.without_fingerprint, "image")
        ));
    }
    if found.groups.is_empty() {
        output.note(format_args!("no duplicates up to \"{}\"", search.up_to.name()));
        return Ok(Outcome::Nothing);
    }
    let others = found.groups.iter().map(|group| group.others.len() as u64).sum();
    let (groups, files) = (counted(found.groups.len() as u64, "group"), counted(others, "file"));
    if args.apply {
        return discard(&database, &found.groups, output);
    }
    output.note(format_args!("{groups}; {files} beside those to keep: nothing was touched"));
    Ok(Outcome::Done)
}

pub(super) fn leak(
    global: &GlobalArgs,
    args: &LeakArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let filter = |folder: &Path| -> anyhow::Result<Filter> {
        let under = Some(database.locate(&locate::absolute(folder)?));
        Ok(Filter { under, ..Filter::default() })
    };
    let search = DuplicateSearch {
        up_to: args.up_to.into(),
        similar_min: args.min_score,
        seed: args.seed,
        ..DuplicateSearch::default()
    };
    let (train, test) = (filter(&args.train)?, filter(&args.test)?);
    for (folder, filter) in [(&args.train, &train), (&args.test, &test)] {
        // A typing error must not pass for a clean data set.
        if database.images(filter)?.is_empty() {
            anyhow::bail!("no image of {folder:?} is in the database: `lookalike index` it first");
        }
    }
    let bar = progress::bar("images", output.quiet);
    let on_compared = |done: usize, all: usize| progress::on_counted(&bar)(done as u64, all as u64);
    let leaks = database.leaks(&train, &test, &search, &on_compared)?;
    bar.finish_and_clear();
    for leak in &leaks {
        print_leak(&database, leak, [&train, &test], output)?;
    }
    output.note(format_args!(
        "{} of the test set in the training set, up to \"{}\"",
        counted(leaks.len() as u64, "image"),
        search.up_to.name()
    ));
    Ok(match (leaks.is_empty(), args.fail_if_found) {
        (false, true) => Outcome::Failed,
        (true, false) => Outcome::Nothing,
        _ => Outcome::Done,
    })
}

fn decide(
    database: &Database,
    files: &[PathBuf],
    are_distinct: bool,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let id = |file: &PathBuf| -> anyhow::Result<ImageId> {
        Ok(database.image_at(&locate::absolute(file)?)?)
    };
    let images = [id(&files[0])?, id(&files[1])?];
    if images[0] == images[1] {
        anyhow::bail!("both files hold the same image, byte by byte");
    }
    database.set_distinct(images, are_distinct)?;
    output.note(match are_distinct {
        true => "they are not the same from now on, wherever they are moved",
        false => "they may be the same again",
    });
    Ok(Outcome::Done)
}

/// Moves all files but those to keep to the trash. What cannot be moved is told and stays.
fn discard(
    database: &Database,
    groups: &[DuplicateGroup],
    output: &Output,
) -> anyhow::Result<Outcome> {
    let (mut moved, mut failed) = (0, 0);
    for group in groups {
        for other in &group.others {
            let kept = (group.keep.0, &group.keep.1);
            match database.discard((other.id, &other.location), kept) {
                Ok(()) => moved += 1,
                Err(error) => {
                    let path = other.location.to_path(database.home());
                    let reason = anyhow::Error::from(error);
                    output.warn(format_args!("{} stays: {reason:#}", shown(&path)));
                    failed += 1;
                }
            }
        }
    }
    output.note(format_args!("{} moved to the trash", counted(moved, "file")));
    Ok(if failed > 0 { Outcome::Failed } else { Outcome::Done })
}

fn rules(database: &Database, folders: &[PathBuf]) -> anyhow::Result<KeepRules> {
    let folders = folders.iter().map(|folder| Ok(database.locate(&locate::absolute(folder)?)));
    Ok(KeepRules { folders: folders.collect::<anyhow::Result<_>>()? })
}

fn tell_calibration(calibration: &EditCalibration, output: &Output) {
    let made = calibration.edits.first().map_or(0, |edit| edit.made);
    if made == 0 {
        return;
    }
    let parts = calibration.edits.iter().map(|edit| format!("{} {}", edit.edit.name(), edit.found));
    let parts: Vec<String> = parts.collect();
    output.note(format_args!(
        "of edits made of {}, this finds: {}",
        counted(made as u64, "photo"),
        parts.join(", ")
    ));
}

fn file(database: &Database, id: ImageId, location: &Location) -> FileLine {
    FileLine { id, path: path_text(&location.to_path(database.home())) }
}

fn likeness(tier: Tier, score: Option<f32>, alignment: Option<Alignment>) -> Likeness {
    Likeness {
        tier,
        score,
        agreement: alignment.map(|alignment| alignment.agreement),
        turn: alignment.map(|alignment| alignment.turn),
        share: alignment.map(|alignment| alignment.share),
    }
}

fn print(
    database: &Database,
    group: &DuplicateGroup,
    number: usize,
    output: &Output,
) -> anyhow::Result<()> {
    let (kept, location) = &group.keep;
    if output.json {
        let other = |other: &Duplicate| DuplicateLine {
            file: file(database, other.id, &other.location),
            likeness: likeness(other.tier, other.score, other.alignment),
            reason: other.reason,
        };
        return output.object(&GroupLine {
            group: number,
            tier: group.tier,
            keep: file(database, *kept, location),
            others: group.others.iter().map(other).collect(),
        });
    }
    let files = counted(group.others.len() as u64 + 1, "file");
    output.line(format!("group {number}, {}: {files}", group.tier.name()))?;
    output.line(format!("  keep    {}", shown(&location.to_path(database.home()))))?;
    for other in &group.others {
        let how = other.tier.described(other.alignment);
        let reason = other.reason.map_or(String::new(), |reason| format!("; kept: {reason}"));
        let path = other.location.to_path(database.home());
        output.line(format!("  remove  {}  ({how}{reason})", shown(&path)))?;
    }
    Ok(())
}

fn print_leak(
    database: &Database,
    leak: &Leak,
    [train, test]: [&Filter; 2],
    output: &Output,
) -> anyhow::Result<()> {
    let in_folder = |id: ImageId, filter: &Filter| -> anyhow::Result<FileLine> {
        let row = database.image(id)?;
        let locations = row.map(|row| row.locations).unwrap_or_default();
        let under = |location: &&Location| {
            filter.under.as_ref().is_none_or(|folder| location.is_under(folder))
        };
        let location = locations.iter().find(under);
        Ok(location.map_or(FileLine { id, path: String::new() }, |at| file(database, id, at)))
    };
    let (train, test) = (in_folder(leak.train, train)?, in_folder(leak.test, test)?);
    if output.json {
        let likeness = likeness(leak.tier, leak.score, leak.alignment);
        return output.object(&LeakLine { train, test, likeness });
    }
    let how = leak.tier.described(leak.alignment);
    output.line(format!("{}  is  {}  ({how})", test.path, train.path))
}
