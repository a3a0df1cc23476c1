//! The wheels that libtorch is taken from, and the files taken from each.
//!
//! *Invariants*: version, file and checksum are fixed: two machines have the same libtorch; the
//! version is the one that `tch` names.
//!
//! *Not here*: downloading and unpacking (`libtorch`, `wheel`).

/// One wheel of the user's package index.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Name and version as pip takes them.
    pub(crate) requirement: &'static str,
    /// How the wheel's file name begins.
    pub(crate) file_prefix: &'static str,
    /// Lower-case hexadecimal SHA-256 of the wheel.
    pub(crate) sha256: &'static str,
    /// What is taken: a path, or a folder ending in `/`, and where it goes.
    pub(crate) takes: &'static [(&'static str, &'static str)],
}

/// Name of the folder in the cache.
pub(crate) const FOLDER: &str = "libtorch-2.11.0-cpu";

/// A text file that the linker takes for `libtorch.so`; the wheel's own one names CUDA's libraries.
pub(crate) const LINKER_SCRIPT: (&str, &str) = ("lib/libtorch.so", "INPUT(-ltorch_cpu)\n");

/// The CPU part of PyTorch's CUDA build, with the two CUDA libraries that even this part names.
pub(crate) const WHEELS: [Wheel; 3] = [
    Wheel {
        requirement: "torch==2.11.0",
        file_prefix: "torch-2.11.0-",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        takes: &[
            ("torch/lib/libtorch_cpu.so", "lib/libtorch_cpu.so"),
            ("torch/lib/libc10.so", "lib/libc10.so"),
            ("torch/lib/libshm.so", "lib/libshm.so"),
            ("torch/lib/libgomp.so.1", "lib/libgomp.so.1"),
            ("torch/include/", "include/"),
            ("torch-2.11.0.dist-info/licenses/", "licenses/torch/"),
        ],
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        file_prefix: "nvidia_cuda_runtime-13.0.96-",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        takes: &[
            ("nvidia/cu13/lib/libcudart.so.13", "lib/libcudart.so.13"),
            (
                "nvidia_cuda_runtime-13.0.96.dist-info/licenses/",
                "licenses/cuda-runtime/",
            ),
        ],
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        file_prefix: "nvidia_cuda_cupti-13.0.85-",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        takes: &[
            ("nvidia/cu13/lib/libcupti.so.13", "lib/libcupti.so.13"),
            (
                "nvidia_cuda_cupti-13.0.85.dist-info/licenses/",
                "licenses/cuda-cupti/",
            ),
        ],
    },
];

/// Flags that make every Python and pip choose the same files.
pub(crate) const PLATFORM: [&str; 13] = [
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--abi=none",
    "--platform=manylinux_2_28_x86_64",
    "--platform=manylinux_2_25_x86_64",
    "--platform=manylinux_2_17_x86_64",
    "--platform=manylinux2014_x86_64",
    "--no-deps",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--retries=5",
];
