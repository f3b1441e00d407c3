"""Any PNG becomes a small one. One of 16-bit grey is taken for a height field and drawn as shaded relief.

usage: make_thumbnail.py IMAGE.png OUTPUT_DIR
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

LONGEST_SIDE = 512  # pixels

# Relative height → colour: river green, meadow, dry grass, bare earth, rock, snow.
TINTS = [
    (0.00, (67, 115, 96)),
    (0.18, (121, 158, 112)),
    (0.38, (193, 199, 140)),
    (0.58, (214, 184, 131)),
    (0.78, (173, 129, 101)),
    (0.92, (166, 146, 138)),
    (1.00, (245, 243, 240)),
]
# (where the light comes from, degrees clockwise from north; its height above the horizon; its share). Several weak
# lights besides the usual one from the north-west keep slopes that face away from it readable.
LIGHTS = [(315, 42, 0.58), (270, 45, 0.16), (360, 45, 0.16), (225, 50, 0.10)]
RELIEF = 1.15  # the slope (as its tangent) that a steep place, one in fifty, is drawn with


def relief(height):
    """Shaded relief of a height field (any unit), as RGB of the same shape."""
    return Image.fromarray(np.clip(tint(height) * light(height)[..., None], 0, 255).astype("uint8"), "RGB")


def tint(height):
    low, high = np.percentile(height, (1, 99.8))
    relative = np.clip((height - low) / max(high - low, 1e-9), 0, 1)
    stops = [stop for stop, _ in TINTS]
    return np.stack([np.interp(relative, stops, [colour[band] for _, colour in TINTS]) for band in range(3)], axis=-1)


def light(height):
    """How bright each place is: 1 for flat ground."""
    down, right = np.gradient(height)
    steepness = np.percentile(np.hypot(down, right), 98)
    scale = RELIEF / max(steepness, 1e-9)
    normal_east, normal_north = -right * scale, down * scale
    length = np.sqrt(normal_east**2 + normal_north**2 + 1)
    brightness = np.zeros_like(height)
    for azimuth, altitude, share in LIGHTS:
        azimuth, altitude = np.radians(azimuth), np.radians(altitude)
        east, north = np.sin(azimuth) * np.cos(altitude), np.cos(azimuth) * np.cos(altitude)
        seen = (normal_east * east + normal_north * north + np.sin(altitude)) / length
        brightness += share * np.clip(seen, 0, None) / np.sin(altitude)
    return 0.22 + 0.82 * brightness


def make_thumbnail(image):
    scale = LONGEST_SIDE / max(image.size)
    if image.mode.startswith("I"):
        # Resampled before it is shaded: a picture of light does not scale, a surface does.
        height = Image.fromarray(np.asarray(image).astype("float32"))
        size = [max(1, round(side * scale)) for side in image.size]
        return relief(np.asarray(height.resize(size, Image.BICUBIC), dtype="float64"))
    thumbnail = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    thumbnail.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.LANCZOS)
    return thumbnail


def main(path, output_dir):
    output = Path(output_dir) / f"{Path(path).stem}_thumbnail.png"
    with Image.open(path) as image:
        thumbnail = make_thumbnail(image)
    thumbnail.save(output, optimize=True)
    manifest = {"version": "1.1", "output_data": [{"name": "thumbnail", "file": {"path": str(output)}}]}
    (Path(output_dir) / "results_manifest.json").write_text(json.dumps(manifest))
    print(f"{output.name}: {thumbnail.width} x {thumbnail.height} pixels")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
