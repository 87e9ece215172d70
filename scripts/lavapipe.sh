#!/usr/bin/env bash
# Makes a Chromium whose WebGPU runs on Mesa's lavapipe, a faster GPU in software than its own, and prints the path of its wrapper.
# Debian bookworm on x86-64, with Chromium and a C compiler. For measurements by hand; no test needs it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/target/lavapipe
# Where this machine's packages come from.
mirror=$(apt-get indextargets --format '$(SITE)' "Created-By: Packages" | sort -u | grep '/debian$' | head -1)/pool/main
packages=(
    m/mesa/mesa-vulkan-drivers_25.0.7-2~bpo12+1_amd64.deb
    libd/libdrm/libdrm2_2.4.123-1~bpo12+1_amd64.deb
    libd/libdrm/libdrm-amdgpu1_2.4.123-1~bpo12+1_amd64.deb
)
libraries=$folder/root/usr/lib/x86_64-linux-gnu

rm -rf "$folder"
mkdir -p "$folder/root"
for package in "${packages[@]}"; do
    curl --silent --show-error --fail --location --output "$folder/package.deb" "$mirror/$package"
    dpkg -x "$folder/package.deb" "$folder/root"
done
cat > "$folder/icd.json" <<JSON
{"file_format_version": "1.0.0", "ICD": {"library_path": "$libraries/libvulkan_lvp.so", "api_version": "1.4.0"}}
JSON

# Chromium takes its own software GPU only, by name: its library becomes one that leads to the system's loader, under that name.
cp -rl /usr/lib/chromium "$folder/chromium"
rm "$folder/chromium/libvk_swiftshader.so" "$folder/chromium/vk_swiftshader_icd.json"
cc -shared -fPIC -O2 -fvisibility=hidden -o "$folder/chromium/libvk_swiftshader.so" scripts/lavapipe.c -ldl
cp "$folder/icd.json" "$folder/chromium/vk_swiftshader_icd.json"
cat > "$folder/chromium.sh" <<SH
#!/bin/sh
export VK_ICD_FILENAMES="$folder/icd.json" VK_DRIVER_FILES="$folder/icd.json" LD_LIBRARY_PATH="$libraries"
exec "$folder/chromium/chromium" "\$@"
SH
chmod +x "$folder/chromium.sh"
echo "$folder/chromium.sh"
