//! ONNX graphs as data.
