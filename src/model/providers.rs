//! Execution providers: what runs a graph.

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use crate::stage::Failure;

/// An execution provider by the name that workflows use.
pub struct Provider {
    /// Its name: `cpu`, `cuda`, ….
    pub name: &'static str,
    /// What to install where it is missing.
    pub install: &'static str,
    /// Is the loaded library compiled with it? `None` for CPU, which always is.
    available: Option<fn() -> bool>,
    dispatch: fn() -> Option<ExecutionProviderDispatch>,
}

fn has<E: ExecutionProvider>() -> bool {
    E::is_available().unwrap_or(false)
}

/// Every provider, in the order of `sulcus doctor`.
pub static PROVIDERS: &[Provider] = &[
    Provider { name: "cpu", install: "", available: None, dispatch: || None },
    Provider {
        name: "cuda",
        install: "an NVIDIA GPU with CUDA and cuDNN, and `pip install onnxruntime-gpu`; then name its library with --onnxruntime",
        available: Some(has::<ep::CUDA>),
        dispatch: || Some(ep::CUDA::default().build()),
    },
    Provider {
        name: "tensorrt",
        install: "an NVIDIA GPU with TensorRT, and `pip install onnxruntime-gpu`; then name its library with --onnxruntime",
        available: Some(has::<ep::TensorRT>),
        dispatch: || Some(ep::TensorRT::default().build()),
    },
    Provider {
        name: "rocm",
        install: "an AMD GPU with ROCm and a library built with the ROCm provider; name it with --onnxruntime",
        available: Some(has::<ep::ROCm>),
        dispatch: || Some(ep::ROCm::default().build()),
    },
    Provider {
        name: "migraphx",
        install: "an AMD GPU with MIGraphX and a library built with its provider; name it with --onnxruntime",
        available: Some(has::<ep::MIGraphX>),
        dispatch: || Some(ep::MIGraphX::default().build()),
    },
    Provider {
        name: "openvino",
        install: "a library built with the OpenVINO provider (`pip install onnxruntime-openvino`); name it with --onnxruntime",
        available: Some(has::<ep::OpenVINO>),
        dispatch: || Some(ep::OpenVINO::default().build()),
    },
    Provider {
        name: "webgpu",
        install: "a library built with the WebGPU provider; name it with --onnxruntime",
        available: Some(has::<ep::WebGPU>),
        dispatch: || Some(ep::WebGPU::default().build()),
    },
    Provider {
        name: "coreml",
        install: "macOS, whose library has the CoreML provider",
        available: Some(has::<ep::CoreML>),
        dispatch: || Some(ep::CoreML::default().build()),
    },
    Provider {
        name: "directml",
        install: "Windows, and a library built with the DirectML provider",
        available: Some(has::<ep::DirectML>),
        dispatch: || Some(ep::DirectML::default().build()),
    },
];

impl Provider {
    /// The provider called `name`.
    ///
    /// # Errors
    /// If there is none: with the nearest name.
    pub fn named(name: &str) -> Result<&'static Provider, Failure> {
        PROVIDERS.iter().find(|p| p.name == name).ok_or_else(|| {
            let hint = crate::spec::suggest::hint(name, PROVIDERS.iter().map(|p| p.name));
            Failure::new(format!("there is no execution provider `{name}`")).hint(hint)
        })
    }

    /// Is the loaded library compiled with it? Whether its device works shows when a session is made.
    pub fn is_available(&self) -> bool {
        self.available.is_none_or(|available| available())
    }

    /// For a session; failing to register is an error, never a silent fall back to CPU.
    pub(super) fn dispatch(&self) -> Option<ExecutionProviderDispatch> {
        (self.dispatch)().map(ExecutionProviderDispatch::error_on_failure)
    }
}
