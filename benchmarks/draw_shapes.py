"""Draw a picture of images of the synthetic dataset, a column for each class.

python benchmarks/draw_shapes.py --output docs/images/shapes.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from graphbo.datasets import ImageData, shapes


def figure(data: ImageData, rows: int) -> Figure:
    """Return a picture of the first training images of each class.

    Args:
        data: Grey images.
        rows: Images of each class.
    """
    images, labels = data.train
    picture = Figure(figsize=(0.8 * data.classes, 0.8 * rows + 0.3), layout="constrained")
    for label in range(data.classes):
        for row, image in enumerate(images[labels == label][:rows, 0]):
            axes = picture.add_subplot(rows, data.classes, row * data.classes + label + 1)
            axes.imshow(image.numpy(), cmap="gray")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(str(label), fontsize="small")
    return picture


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=12)
    parser.add_argument("--output", type=Path, default=Path("docs/images/shapes.png"))
    arguments = parser.parse_args()
    data = shapes(
        arguments.rows * arguments.classes, size=arguments.size, classes=arguments.classes
    )
    figure(data, arguments.rows).savefig(arguments.output, dpi=120)


if __name__ == "__main__":
    main()
