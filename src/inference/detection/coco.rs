//! The 80 classes of the COCO data set, which all detectors here know.

/// A class of COCO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CocoClass {
    /// Its name.
    pub name: &'static str,
    /// Its number in annotation files, 1 to 90 with gaps.
    pub category: u32,
}

/// The classes in the order in which detectors number them.
pub const COCO_CLASSES: [CocoClass; 80] = [
    CocoClass { name: "person", category: 1 },
    CocoClass { name: "bicycle", category: 2 },
    CocoClass { name: "car", category: 3 },
    CocoClass { name: "motorcycle", category: 4 },
    CocoClass { name: "airplane", category: 5 },
    CocoClass { name: "bus", category: 6 },
    CocoClass { name: "train", category: 7 },
    CocoClass { name: "truck", category: 8 },
    CocoClass { name: "boat", category: 9 },
    CocoClass { name: "traffic light", category: 10 },
    CocoClass { name: "fire hydrant", category: 11 },
    CocoClass { name: "stop sign", category: 13 },
    CocoClass { name: "parking meter", category: 14 },
    CocoClass { name: "bench", category: 15 },
    CocoClass { name: "bird", category: 16 },
    CocoClass { name: "cat", category: 17 },
    CocoClass { name: "dog", category: 18 },
    CocoClass { name: "horse", category: 19 },
    CocoClass { name: "sheep", category: 20 },
    CocoClass { name: "cow", category: 21 },
    CocoClass { name: "elephant", category: 22 },
    CocoClass { name: "bear", category: 23 },
    CocoClass { name: "zebra", category: 24 },
    CocoClass { name: "giraffe", category: 25 },
    CocoClass { name: "backpack", category: 27 },
    CocoClass { name: "umbrella", category: 28 },
    CocoClass { name: "handbag", category: 31 },
    CocoClass { name: "tie", category: 32 },
    CocoClass { name: "suitcase", category: 33 },
    CocoClass { name: "frisbee", category: 34 },
    CocoClass { name: "skis", category: 35 },
    CocoClass { name: "snowboard", category: 36 },
    CocoClass { name: "sports ball", category: 37 },
    CocoClass { name: "kite", category: 38 },
    CocoClass { name: "baseball bat", category: 39 },
    CocoClass { name: "baseball glove", category: 40 },
    CocoClass { name: "skateboard", category: 41 },
    CocoClass { name: "surfboard", category: 42 },
    CocoClass { name: "tennis racket", category: 43 },
    CocoClass { name: "bottle", category: 44 },
    CocoClass { name: "wine glass", category: 46 },
    CocoClass { name: "cup", category: 47 },
    CocoClass { name: "fork", category: 48 },
    CocoClass { name: "knife", category: 49 },
    CocoClass { name: "spoon", category: 50 },
    CocoClass { name: "bowl", category: 51 },
    CocoClass { name: "banana", category: 52 },
    CocoClass { name: "apple", category: 53 },
    CocoClass { name: "sandwich", category: 54 },
    CocoClass { name: "orange", category: 55 },
    CocoClass { name: "broccoli", category: 56 },
    CocoClass { name: "carrot", category: 57 },
    CocoClass { name: "hot dog", category: 58 },
    CocoClass { name: "pizza", category: 59 },
    CocoClass { name: "donut", category: 60 },
    CocoClass { name: "cake", category: 61 },
    CocoClass { name: "chair", category: 62 },
    CocoClass { name: "couch", category: 63 },
    CocoClass { name: "potted plant", category: 64 },
    CocoClass { name: "bed", category: 65 },
    CocoClass { name: "dining table", category: 67 },
    CocoClass { name: "toilet", category: 70 },
    CocoClass { name: "tv", category: 72 },
    CocoClass { name: "laptop", category: 73 },
    CocoClass { name: "mouse", category: 74 },
    CocoClass { name: "remote", category: 75 },
    CocoClass { name: "keyboard", category: 76 },
    CocoClass { name: "cell phone", category: 77 },
    CocoClass { name: "microwave", category: 78 },
    CocoClass { name: "oven", category: 79 },
    CocoClass { name: "toaster", category: 80 },
    CocoClass { name: "sink", category: 81 },
    CocoClass { name: "refrigerator", category: 82 },
    CocoClass { name: "book", category: 84 },
    CocoClass { name: "clock", category: 85 },
    CocoClass { name: "vase", category: 86 },
    CocoClass { name: "scissors", category: 87 },
    CocoClass { name: "teddy bear", category: 88 },
    CocoClass { name: "hair drier", category: 89 },
    CocoClass { name: "toothbrush", category: 90 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_grow_and_the_first_and_the_last_are_those_of_the_data_set() {
        assert!(COCO_CLASSES.windows(2).all(|pair| pair[0].category < pair[1].category));
        let (first, last) = (COCO_CLASSES[0], COCO_CLASSES[79]);
        assert_eq!((first.name, first.category), ("person", 1));
        assert_eq!((last.name, last.category), ("toothbrush", 90));
        let dog = COCO_CLASSES.iter().find(|class| class.name == "dog").unwrap();
        assert_eq!(dog.category, 18);
    }
}
