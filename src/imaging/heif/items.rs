//! The items of a HEIF container: coded pictures, grids of them, transparency, turns.

use heifer::Image;
use heifer::color::{ColorParams, frame_to_rgba_sized};
use heifer::heifer_hevc_dec::decoder::{DecodeOptions, decode_picture};
use heifer::heifer_hevc_dec::recon::Frame;
use heifer::heifer_isobmff::boxes::{ColorInfo, Property};
use heifer::heifer_isobmff::{Error as ContainerError, HeifFile, ItemId};

use super::{ImageFormat, ImagingError, av1, container_error, corrupt, unsupported};

/// Coded pixels that a file may have beyond its image, its transparency and the rims of its
/// tiles: enough for the rims of a small image with large tiles.
const SPARE_PIXELS: u64 = 4 << 20;

/// Cost of a picture, however small: the set-up of its decoder.
const PICTURE_PIXELS_MIN: u64 = 1 << 12;

/// Decodes the main image of a container.
pub(super) fn decode(
    format: ImageFormat,
    container: &HeifFile<'_>,
    pixels: u64,
) -> Result<Image<u8>, ImagingError> {
    let pixels_left = pixels.saturating_mul(3).saturating_add(SPARE_PIXELS);
    Decoder { format, container, pixels_left }.main_image()
}

/// Decodes items, and holds them to a budget of coded pixels: a file of a few kilobytes can name
/// one picture of any size as each of 65,536 tiles.
struct Decoder<'a> {
    format: ImageFormat,
    container: &'a HeifFile<'a>,
    pixels_left: u64,
}

impl Decoder<'_> {
    fn main_image(&mut self) -> Result<Image<u8>, ImagingError> {
        let id = self.container.primary_id;
        let mut image = self.untransformed(id)?;
        if let Some(alpha) = self.transparency_of(id)? {
            let alpha = self.untransformed(alpha)?;
            attach(&mut image, &alpha)
                .ok_or_else(|| corrupt(self.format, "its transparency has another size"))?;
        }
        self.transformed(image, id)
    }

    fn untransformed(&mut self, id: ItemId) -> Result<Image<u8>, ImagingError> {
        match &self.kind(id)? {
            b"grid" => self.grid(id),
            _ => self.coded(id),
        }
    }

    fn coded(&mut self, id: ItemId) -> Result<Image<u8>, ImagingError> {
        let size = self.container.image_size(id).map_err(|error| self.container_error(error))?;
        let (width_px, height_px) = size.ok_or_else(|| corrupt(self.format, "no image size"))?;
        let frame = match &self.kind(id)? {
            b"hvc1" => self.hevc_picture(id)?,
            b"av01" => {
                let data =
                    self.container.item_data(id).map_err(|error| self.container_error(error))?;
                av1::decode(data.into_owned(), self.pixels_left)?
            }
            other => {
                let name = String::from_utf8_lossy(other).into_owned();
                return Err(unsupported(self.format, format!("an image coded as {name:?}")));
            }
        };
        let pixels = u64::from(frame.widths[0]) * u64::from(frame.heights[0]);
        self.pixels_left = self
            .pixels_left
            .checked_sub(pixels.max(PICTURE_PIXELS_MIN))
            .ok_or_else(|| corrupt(self.format, "its parts are larger than the image"))?;
        Ok(frame_to_rgba_sized(&frame, self.colours(id, &frame)?, width_px, height_px))
    }

    fn hevc_picture(&self, id: ItemId) -> Result<Frame, ImagingError> {
        let stream = self.container.hevc_bitstream(id);
        let stream = stream.map_err(|error| self.container_error(error))?;
        let options = DecodeOptions { max_pixels: self.pixels_left.max(1), ..Default::default() };
        decode_picture(&stream, options).map_err(|error| {
            use heifer::heifer_hevc_dec::Error;
            match error {
                Error::Unimplemented(_) => unsupported(self.format, error),
                error => corrupt(self.format, error),
            }
        })
    }

    fn grid(&mut self, id: ItemId) -> Result<Image<u8>, ImagingError> {
        let grid = self.container.grid(id).map_err(|error| self.container_error(error))?;
        let (width, height) = (grid.output_width, grid.output_height);
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 || pixels > self.pixels_left {
            return Err(corrupt(self.format, "a grid of another size than the image"));
        }
        let tiles = self.container.referenced_items(id, b"dimg").to_vec();
        let columns = usize::from(grid.columns);
        if tiles.len() != columns * usize::from(grid.rows) {
            return Err(corrupt(self.format, "a grid with too few or too many tiles"));
        }
        let mut canvas = Image::filled_samples(width, height, 8, [u8::MAX; 4]);
        for (row, tiles) in tiles.chunks(columns.max(1)).enumerate() {
            for (column, tile) in tiles.iter().enumerate() {
                let tile = self.coded(*tile)?;
                place(&mut canvas, &tile, column, row);
            }
        }
        Ok(canvas)
    }

    /// The auxiliary image that says how opaque an image is.
    fn transparency_of(&self, id: ItemId) -> Result<Option<ItemId>, ImagingError> {
        const KINDS: [&str; 2] =
            ["urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];
        for auxiliary in self.container.referencing_items(id, b"auxl") {
            let is_alpha = self.properties(auxiliary)?.any(|property| {
                matches!(property, Property::AuxiliaryType(kind) if KINDS.contains(&kind.as_str()))
            });
            if is_alpha {
                return Ok(Some(auxiliary));
            }
        }
        Ok(None)
    }

    /// Applies crops, turns and mirrors in the order of the file.
    fn transformed(&self, mut image: Image<u8>, id: ItemId) -> Result<Image<u8>, ImagingError> {
        for property in self.properties(id)? {
            image = match property {
                Property::CleanAperture { width, height, horiz_offset, vert_offset } => {
                    let (left, columns) = aperture(image.width, *width, *horiz_offset)
                        .ok_or_else(|| corrupt(self.format, "a crop without a size"))?;
                    let (top, rows) = aperture(image.height, *height, *vert_offset)
                        .ok_or_else(|| corrupt(self.format, "a crop without a size"))?;
                    image.crop(left, top, columns, rows)
                }
                Property::Rotation(quarters) if *quarters > 0 => image.rotate_ccw(*quarters),
                Property::Mirror(top_bottom) => image.mirror(*top_bottom),
                _ => image,
            };
        }
        Ok(image)
    }

    /// How the samples of a picture become RGB: as its item says, else as its stream says.
    fn colours(&self, id: ItemId, frame: &Frame) -> Result<ColorParams, ImagingError> {
        let coded = self.properties(id)?.find_map(|property| match property {
            Property::Color(ColorInfo::Nclx { matrix, full_range, .. }) => {
                Some(ColorParams { matrix: *matrix, full_range: *full_range })
            }
            _ => None,
        });
        Ok(coded.unwrap_or_else(|| ColorParams::from_frame(frame)))
    }

    fn kind(&self, id: ItemId) -> Result<[u8; 4], ImagingError> {
        let item = self.container.item(id).map_err(|error| self.container_error(error))?;
        Ok(item.item_type.0)
    }

    fn properties(&self, id: ItemId) -> Result<impl Iterator<Item = &Property>, ImagingError> {
        self.container.item_properties(id).map_err(|error| self.container_error(error))
    }

    fn container_error(&self, error: ContainerError) -> ImagingError {
        container_error(self.format, error)
    }
}

/// Copies a tile to its place; what reaches over the rim of the canvas is cut off.
fn place(canvas: &mut Image<u8>, tile: &Image<u8>, column: usize, row: usize) {
    let (left, top) = (column * tile.width as usize, row * tile.height as usize);
    let (canvas_row, tile_row) = (canvas.width as usize * 4, tile.width as usize * 4);
    if left * 4 >= canvas_row || tile_row == 0 {
        return;
    }
    let length = tile_row.min(canvas_row - left * 4);
    let rows = canvas.data.chunks_exact_mut(canvas_row).skip(top);
    for (target, source) in rows.zip(tile.data.chunks_exact(tile_row)) {
        target[left * 4..][..length].copy_from_slice(&source[..length]);
    }
}

/// Makes an image as opaque as another is bright; `None` if that is of another size.
fn attach(image: &mut Image<u8>, alpha: &Image<u8>) -> Option<()> {
    if (image.width, image.height) != (alpha.width, alpha.height) {
        return None;
    }
    for (pixel, alpha) in image.data.chunks_exact_mut(4).zip(alpha.data.chunks_exact(4)) {
        pixel[3] = alpha[0];
    }
    Some(())
}

/// Start and length of a crop along one side, from its length and the offset of its centre.
fn aperture(side_px: u32, length: (u32, u32), offset: (i32, u32)) -> Option<(u32, u32)> {
    if length.1 == 0 || offset.1 == 0 {
        return None;
    }
    let length = (f64::from(length.0) / f64::from(length.1)).round();
    let centre = f64::from(side_px) / 2.0 + f64::from(offset.0) / f64::from(offset.1);
    let start = (centre - length / 2.0).round().max(0.0);
    let is_inside = length >= 1.0 && start < f64::from(side_px);
    is_inside.then_some((start as u32, length as u32))
}
