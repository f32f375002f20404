"""Images to train on."""

from graphbo.datasets.base import ImageData, from_arrays
from graphbo.datasets.digits import digits
from graphbo.datasets.folder import folder_images, load_images
from graphbo.datasets.registry import get_dataset, list_datasets
from graphbo.datasets.shapes import shapes
from graphbo.datasets.torchvision import TORCHVISION_DATASETS, torchvision_images

__all__ = [
    "TORCHVISION_DATASETS",
    "ImageData",
    "digits",
    "folder_images",
    "from_arrays",
    "get_dataset",
    "list_datasets",
    "load_images",
    "shapes",
    "torchvision_images",
]
