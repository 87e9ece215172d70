// In place of Chromium's software GPU: the system's Vulkan loader, whose devices bear the numbers that Chromium looks for.
// Declares the few things of Vulkan's header that it needs.
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*Function)(void);
typedef Function (*Lookup)(void *instance, const char *name);
/// Beginning of VkPhysicalDeviceProperties.
typedef struct {
    uint32_t api_version, driver_version, vendor, device;
} Properties;
/// VkPhysicalDeviceProperties2.
typedef struct {
    int32_t type;
    void *next;
    Properties properties;
} Properties2;

static void (*properties)(void *device, Properties *out);
static void (*properties2)(void *device, Properties2 *out);

static void rename_device(Properties *out) {
    out->vendor = 0x1ae0;
    out->device = 0xc0de;
}

static void renamed_properties(void *device, Properties *out) {
    properties(device, out);
    rename_device(out);
}

static void renamed_properties2(void *device, Properties2 *out) {
    properties2(device, out);
    rename_device(&out->properties);
}

EXPORT Function vkGetInstanceProcAddr(void *instance, const char *name) {
    static Lookup loader;
    if (!loader) {
        void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
        if (!library) return 0;
        loader = (Lookup)dlsym(library, "vkGetInstanceProcAddr");
    }
    Function found = loader(instance, name);
    if (!found) return 0;
    if (!strcmp(name, "vkGetInstanceProcAddr")) return (Function)vkGetInstanceProcAddr;
    if (!strcmp(name, "vkGetPhysicalDeviceProperties")) {
        properties = (void (*)(void *, Properties *))found;
        return (Function)renamed_properties;
    }
    if (!strcmp(name, "vkGetPhysicalDeviceProperties2") || !strcmp(name, "vkGetPhysicalDeviceProperties2KHR")) {
        properties2 = (void (*)(void *, Properties2 *))found;
        return (Function)renamed_properties2;
    }
    return found;
}

EXPORT Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
    return vkGetInstanceProcAddr(instance, name);
}
