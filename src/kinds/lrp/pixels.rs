//! Pixels of maps and images.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use science::maps::Layout;

use crate::stage::Failure;

const WHITE: f32 = 255.0;

/// A map as PNG: white at zero, red to its largest magnitude, blue to the same below zero.
pub fn heat(plane: &[f32], layout: Layout) -> Result<Vec<u8>, Failure> {
    blended(plane, |_| WHITE, layout)
}

/// A map over its image as PNG: the image in grey shows through where relevance is small.
pub fn overlaid(plane: &[f32], image: &[f32], layout: Layout) -> Result<Vec<u8>, Failure> {
    let grey = grey(image, layout);
    blended(plane, |pixel| f32::from(grey[pixel]), layout)
}

/// Red and blue over a ground of grey, as opaque as the relevance is large.
fn blended(plane: &[f32], ground: impl Fn(usize) -> f32, layout: Layout) -> Result<Vec<u8>, Failure> {
    let largest = plane.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let color = |(pixel, v): (usize, &f32)| {
        let share = if largest > 0.0 { v / largest } else { 0.0 };
        let ground = ground(pixel);
        let mixed = |full: f32| (ground + (full - ground) * share.abs()).round() as u8;
        let full = if share > 0.0 { [178.0, 24.0, 43.0] } else { [33.0, 102.0, 172.0] };
        full.map(mixed)
    };
    png(plane.iter().enumerate().flat_map(color).collect(), layout, ExtendedColorType::Rgb8)
}

/// An image as PNG: three channels as colours, others as the grey of their mean.
pub fn picture(image: &[f32], layout: Layout) -> Result<Vec<u8>, Failure> {
    if layout.channels == 3 {
        let level = levels(image);
        let pixels = (0..layout.pixels()).flat_map(|p| [0, 1, 2].map(|c| level(value(image, layout, c, p))));
        return png(pixels.collect(), layout, ExtendedColorType::Rgb8);
    }
    png(grey(image, layout), layout, ExtendedColorType::L8)
}

/// The mean of an image's channels at each pixel.
fn grey(image: &[f32], layout: Layout) -> Vec<u8> {
    let level = levels(image);
    let mean = |p: usize| {
        (0..layout.channels).map(|c| value(image, layout, c, p)).sum::<f32>() / layout.channels as f32
    };
    (0..layout.pixels()).map(|p| level(mean(p))).collect()
}

/// From an image's smallest value, black, to its largest, white.
fn levels(image: &[f32]) -> impl Fn(f32) -> u8 {
    let finite = || image.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    move |v| if high > low { ((v - low) / (high - low) * 255.0).round() as u8 } else { 127 }
}

fn value(image: &[f32], layout: Layout, channel: usize, pixel: usize) -> f32 {
    image.get(layout.at(channel, pixel)).copied().unwrap_or(f32::NAN)
}

fn png(pixels: Vec<u8>, layout: Layout, color: ExtendedColorType) -> Result<Vec<u8>, Failure> {
    let mut bytes = Cursor::new(Vec::new());
    let wrong = |text: String| Failure::new(format!("a tile cannot be drawn: {text}"));
    let size = |n: usize| u32::try_from(n).map_err(|e| wrong(e.to_string()));
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, size(layout.width)?, size(layout.height)?, color)
        .map_err(|e| wrong(e.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_is_positive_and_white_is_zero() {
        let layout = Layout::of(&[1, 3], false).unwrap();
        let bytes = heat(&[2.0, 0.0, -1.0], layout).unwrap();
        let pixels = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(pixels.get_pixel(0, 0).0, [178, 24, 43]);
        assert_eq!(pixels.get_pixel(1, 0).0, [255, 255, 255]);
        assert_eq!(pixels.get_pixel(2, 0).0, [144, 179, 214]);
    }
}
