//! Execution providers: what runs a graph.

use ort::ep::{self, ArbitrarilyConfigurableExecutionProvider, ExecutionProvider, ExecutionProviderDispatch};

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
    /// The library that brings it to a runtime that is not compiled with it.
    pub(super) plugin: Option<Plugin>,
}

/// An execution provider as a library of its own, in a Python package.
pub(super) struct Plugin {
    /// The package's folder.
    pub(super) package: &'static str,
    /// The library in it, without what the operating system puts around its name.
    pub(super) library: &'static str,
    /// What the runtime calls the provider.
    pub(super) name: &'static str,
    /// Settings without which it does not compute in float32.
    pub(super) options: &'static [(&'static str, &'static str)],
}

/// Asks OpenVINO for float32; where the processor has bfloat16 it takes that otherwise.
const OPENVINO_FLOAT32: &str =
    r#"{"CPU": {"INFERENCE_PRECISION_HINT": "f32"}, "GPU": {"INFERENCE_PRECISION_HINT": "f32"}}"#;

fn has<E: ExecutionProvider>() -> bool {
    E::is_available().unwrap_or(false)
}

/// Every provider, in the order of `sulcus doctor`.
pub static PROVIDERS: &[Provider] = &[
    Provider { name: "cpu", install: "", available: None, dispatch: || None, plugin: None },
    Provider {
        name: "cuda",
        install: "an NVIDIA GPU with CUDA and cuDNN, and `pip install onnxruntime-gpu`; then name its library with --onnxruntime",
        available: Some(has::<ep::CUDA>),
        dispatch: || Some(ep::CUDA::default().with_tf32(false).build()),
        plugin: None,
    },
    Provider {
        name: "tensorrt",
        install: "an NVIDIA GPU with TensorRT, and `pip install onnxruntime-gpu`; then name its library with --onnxruntime",
        available: Some(has::<ep::TensorRT>),
        dispatch: || Some(ep::TensorRT::default().build()),
        plugin: None,
    },
    Provider {
        name: "rocm",
        install: "an AMD GPU with ROCm and a library built with the ROCm provider; name it with --onnxruntime",
        available: Some(has::<ep::ROCm>),
        dispatch: || Some(ep::ROCm::default().build()),
        plugin: None,
    },
    Provider {
        name: "migraphx",
        install: "an AMD GPU with MIGraphX and a library built with its provider; name it with --onnxruntime",
        available: Some(has::<ep::MIGraphX>),
        dispatch: || Some(ep::MIGraphX::default().build()),
        plugin: None,
    },
    Provider {
        name: "openvino",
        install: "an Intel processor and `pip install onnxruntime-ep-openvino` in the active environment, or the library of `pip install onnxruntime-openvino`, named with --onnxruntime",
        available: Some(has::<ep::OpenVINO>),
        dispatch: || {
            Some(ep::OpenVINO::default().with_arbitrary_config("load_config", OPENVINO_FLOAT32).build())
        },
        plugin: Some(Plugin {
            package: "onnxruntime_ep_openvino",
            library: "onnxruntime_providers_openvino_plugin",
            name: "OpenVINOExecutionProvider",
            options: &[("OpenVINOExecutionProvider.load_config", OPENVINO_FLOAT32)],
        }),
    },
    Provider {
        name: "webgpu",
        install: "a GPU with Vulkan, Metal or Direct3D 12, and `pip install onnxruntime-ep-webgpu` in the active environment",
        available: Some(has::<ep::WebGPU>),
        dispatch: || Some(ep::WebGPU::default().build()),
        plugin: Some(Plugin {
            package: "onnxruntime_ep_webgpu",
            library: "onnxruntime_providers_webgpu",
            name: "WebGpuExecutionProvider",
            options: &[],
        }),
    },
    Provider {
        name: "coreml",
        install: "macOS, whose library has the CoreML provider",
        available: Some(has::<ep::CoreML>),
        dispatch: || Some(ep::CoreML::default().build()),
        plugin: None,
    },
    Provider {
        name: "directml",
        install: "Windows, and a library built with the DirectML provider",
        available: Some(has::<ep::DirectML>),
        dispatch: || Some(ep::DirectML::default().build()),
        plugin: None,
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
    pub(super) fn is_compiled_in(&self) -> bool {
        self.available.is_none_or(|available| available())
    }

    /// For a session; failing to register is an error, never a silent fall back to CPU.
    pub(super) fn dispatch(&self) -> Option<ExecutionProviderDispatch> {
        (self.dispatch)().map(ExecutionProviderDispatch::error_on_failure)
    }
}
