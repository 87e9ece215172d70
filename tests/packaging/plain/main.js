// A page without a bundler: the package by its path, everything it exports for the test to use.
import * as lingualinked from "./node_modules/lingualinked/dist/index.js";

globalThis.lingualinked = lingualinked;
