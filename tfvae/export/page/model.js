// Loads the files of the page and runs the model's signatures by WebAssembly.
import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";

export async function load(path) {
  let response;
  try {
    response = await fetch(path, { cache: "no-cache" });
  } catch {
    throw new Error(`${path} could not be loaded: is the server still running?`);
  }
  if (!response.ok) throw new Error(`${path} could not be loaded: the server says ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

export async function loadChecked(path, manifest) {
  const content = await load(path);
  if (crypto.subtle) { // only on localhost and under https
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== manifest.sha256[path]) {
      throw new Error(`${path} is not the file of this export. Reload the page, or export again.`);
    }
  }
  return content;
}

export class Model {
  #compiled;
  #last = Promise.resolve();

  static async load(manifest) {
    if (!globalThis.WebAssembly) throw new Error("This browser has no WebAssembly.");
    // The runtime writes its log to the error stream.
    globalThis.Module = { printErr: (line) => (/^(INFO|WARNING)/.test(line) ? console.debug : console.error)(line) };
    const [content] = await Promise.all([loadChecked("model.tflite", manifest), loadLiteRt("litertjs/wasm/")]);
    const model = new Model();
    model.signatures = manifest.signatures;
    model.#compiled = await loadAndCompile(content, { accelerator: "wasm" });
    return model;
  }

  has(name) {
    return name in this.signatures;
  }

  // Runs one signature at a time; takes and gives flat arrays by name.
  run(name, inputs) {
    const result = this.#last.then(() => this.#run(name, inputs));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(name, inputs) {
    const tensors = {};
    try {
      for (const [key, { dtype, shape }] of Object.entries(this.signatures[name].inputs)) {
        const kind = dtype === "int32" ? Int32Array : Float32Array;
        tensors[key] = new Tensor(kind.from(inputs[key]), shape);
      }
      const outputs = await this.#compiled.run(name, tensors);
      const arrays = {};
      for (const [key, tensor] of Object.entries(outputs)) {
        arrays[key] = tensor.toTypedArray();
        tensor.delete();
      }
      return arrays;
    } finally {
      Object.values(tensors).forEach((tensor) => tensor.delete());
    }
  }
}
