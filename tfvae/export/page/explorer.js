// Connects a model to the controls of the page. Nothing is loaded but the files beside this one.
import { Model, load, loadChecked } from "./model.js";
import { Bars, Pictures, element } from "./painters.js";

const SHOWN = 10; // sliders before the rest is folded away
const MOST = 64; // sliders in all
const REACH = 3; // standard deviations to either end of a slider and of the map
const SAMPLES = 16;
const INACTIVE = 0.01; // variance of a dimension's codes, below which it says nothing of x

const $ = (id) => document.getElementById(id);
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

const state = { z: null, mean: null, condition: null, x: null, samples: null };
let manifest, model, painter, latents, file;

function fail(error) {
  $("alert").textContent = error.message || String(error);
  $("alert").hidden = false;
}

// A handler of events that shows what goes wrong, and forgets what went wrong before.
const handler = (work) => async (event) => {
  $("alert").hidden = true;
  try {
    await work(event);
  } catch (error) {
    fail(error);
  }
};

// Work that is asked for often is done once a frame, and again if it was asked for meanwhile.
function coalesced(work) {
  let isWanted = false;
  let running = null;
  return () => {
    isWanted = true;
    running ??= (async () => {
      try {
        while (isWanted) {
          isWanted = false;
          await work();
          await frame();
        }
      } catch (error) {
        fail(error);
      } finally {
        running = null;
      }
    })();
    return running;
  };
}

function withCondition(inputs, rows = 1) {
  if (!state.condition) return inputs;
  const condition = new Float32Array(rows * state.condition.length);
  for (let i = 0; i < rows; i++) condition.set(state.condition, i * state.condition.length);
  return { ...inputs, condition };
}

function checkValid(outputs) {
  if (outputs.valid[0] !== 1) throw new Error("These numbers are not all finite.");
  return outputs;
}

const decode = coalesced(async () => {
  const start = performance.now();
  const { mean } = checkValid(await model.run("decode", withCondition({ z: state.z })));
  $("latency").textContent = `decoded in ${(performance.now() - start).toFixed(1)} ms`;
  state.mean = mean;
  painter.paint($("decoded"), mean);
  if ($("numbers").open) showNumbers();
});

function showNumbers() {
  const body = $("numbers-body");
  for (let i = body.rows.length; i < Math.min(state.mean.length, 512); i++) {
    const row = body.insertRow();
    row.append(element("th", { scope: "row", textContent: i }), element("td"));
  }
  for (let i = 0; i < body.rows.length; i++) body.rows[i].cells[1].textContent = state.mean[i].toPrecision(5);
}

// The z at a place of the map, of which (0, 0) is the lower left corner and (1, 1) the upper right.
const atPlace = (index, place) =>
  latents.center[index] + REACH * latents.scale[index] * (2 * place - 1);
const placeOf = (index) =>
  (1 + (state.z[index] - latents.center[index]) / (REACH * latents.scale[index])) / 2;
const axes = () => [Number($("map-x").value), Number($("map-y").value)];

let drawnMap = "";
const drawMap = coalesced(async () => {
  if ($("map-section").hidden) return;
  const [across, up] = axes();
  const key = JSON.stringify([across, up, Array.from(state.z.with(across, 0).with(up, 0)), state.condition]);
  if (key === drawnMap) return;
  const [count, tile] = [painter.cells, manifest.signatures.decode_64.inputs.z.shape[0]];
  for (let first = 0; first < count * count; first += tile) {
    const z = new Float32Array(tile * state.z.length);
    for (let i = 0; i < tile; i++) {
      const [column, row] = [(first + i) % count, Math.floor((first + i) / count)];
      const own = state.z.with(across, atPlace(across, (column + 0.5) / count));
      own[up] = atPlace(up, 1 - (row + 0.5) / count);
      z.set(own, i * own.length);
    }
    const { mean } = await model.run("decode_64", withCondition({ z }, tile));
    for (let i = 0; i < Math.min(tile, count * count - first); i++) {
      painter.paint($("map"), mean, i * painter.size, (first + i) % count, Math.floor((first + i) / count));
    }
    await frame();
  }
  drawnMap = key;
});

function showMarker() {
  const [across, up] = axes();
  const percent = (place) => `${100 * Math.max(0, Math.min(1, place))}%`;
  $("marker").style.left = percent(placeOf(across));
  $("marker").style.top = percent(1 - placeOf(up));
}

// The sliders show z; where z lies beyond their ends, it stays there until they are moved.
function changed() {
  for (const slider of document.querySelectorAll("input[data-index]")) {
    const value = state.z[slider.dataset.index];
    slider.value = value;
    $(`value-${slider.dataset.index}`).textContent = value.toFixed(2);
  }
  if (!$("map-section").hidden) showMarker();
  return Promise.all([decode(), drawMap()]);
}

function setZ(z, button = null) {
  document.querySelectorAll("[aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", "false"));
  button?.setAttribute("aria-pressed", "true");
  state.z = Float32Array.from(z);
  return changed();
}

function makeSliders() {
  const order = latents.order.slice(0, MOST);
  order.forEach((index, rank) => {
    const id = `z-${index}`;
    const [low, high] = [atPlace(index, 0), atPlace(index, 1)];
    const slider = element("input", { type: "range", id, min: low, max: high, step: (high - low) / 120 });
    slider.dataset.index = index;
    slider.addEventListener("input", () => setZ(state.z.with(index, slider.valueAsNumber)));
    const label = element("label", { htmlFor: id, textContent: `z[${index}]` });
    if (latents.activity[index] < INACTIVE) label.title = "The codes hardly vary in this dimension.";
    const value = element("output", { id: `value-${index}`, htmlFor: id });
    const isFolded = latents.order.length > SHOWN + 2 && rank >= SHOWN;
    $(isFolded ? "more-sliders" : "sliders").append(element("div", { className: "slider" }, label, slider, value));
  });
  $("more").hidden = !$("more-sliders").children.length;
  $("more-summary").textContent =
    `${order.length - SHOWN} dimensions that vary less` +
    (order.length < latents.order.length ? `, of ${latents.order.length - SHOWN}` : "");
}

function makeMap() {
  if (latents.order.length < 2) {
    $("map-section").hidden = true;
    $("explore").classList.add("wide");
    return;
  }
  for (const [id, rank] of [["map-x", 0], ["map-y", 1]]) {
    for (const index of latents.order.slice(0, MOST)) {
      $(id).append(element("option", { value: index, textContent: `z[${index}]` }));
    }
    $(id).selectedIndex = rank;
    let before = $(id).value;
    $(id).addEventListener("change", () => {
      const other = $(id === "map-x" ? "map-y" : "map-x");
      if (other.value === $(id).value) other.value = before;
      changed();
    });
    $(id).addEventListener("focus", () => (before = $(id).value));
  }
  painter.prepare($("map"), painter.cells, painter.cells);
  const moveTo = (event) => {
    const box = $("map").getBoundingClientRect();
    const place = (offset, size) => Math.max(0, Math.min(1, offset / size));
    const [across, up] = axes();
    const z = state.z.with(across, atPlace(across, place(event.clientX - box.left, box.width)));
    setZ(z.with(up, atPlace(up, 1 - place(event.clientY - box.top, box.height))));
  };
  $("map").addEventListener("pointerdown", (event) => {
    $("map").setPointerCapture(event.pointerId);
    moveTo(event);
  });
  $("map").addEventListener("pointermove", (event) => {
    if ($("map").hasPointerCapture(event.pointerId)) moveTo(event);
  });
  $("map").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const index = axes()[move[0]];
    const value = state.z[index] + (move[1] * latents.scale[index]) / 10;
    setZ(state.z.with(index, Math.max(atPlace(index, 0), Math.min(atPlace(index, 1), value))));
  });
}

// ---- the condition --------------------------------------------------------------------------

function setCondition(values) {
  state.condition = Float32Array.from(values);
  const chosen = values.indexOf(1);
  const isOneHot = chosen >= 0 && values.every((v, i) => v === (i === chosen ? 1 : 0));
  $("condition-class").value = isOneHot ? chosen : "";
  document.querySelectorAll("input[data-condition]").forEach((input, i) => (input.value = values[i]));
}

async function conditionChanged(values) {
  if (values.every((v, i) => v === state.condition[i])) return;
  setCondition(values);
  await changed();
  if (model.has("sample")) await drawSamples();
}

function makeCondition(size) {
  $("condition").hidden = false;
  $("condition-class").append(element("option", { value: "", textContent: "none of them", disabled: true }));
  for (let i = 0; i < size; i++) {
    $("condition-class").append(element("option", { value: i, textContent: i }));
    const id = `condition-${i}`;
    const input = element("input", { type: "number", id, step: "any" });
    input.dataset.condition = i;
    input.addEventListener("change", handler(() => {
      if (!Number.isFinite(input.valueAsNumber)) throw new Error("A condition is made of numbers.");
      return conditionChanged(Array.from(state.condition.with(i, input.valueAsNumber)));
    }));
    const label = element("label", { htmlFor: id, textContent: `c[${i}]` });
    $("condition-numbers").append(element("div", { className: "slider" }, label, input));
  }
  const oneHot = (chosen) => Array.from({ length: size }, (_, i) => (i === chosen ? 1 : 0));
  $("condition-class").addEventListener("change", handler(() =>
    conditionChanged(oneHot(Number($("condition-class").value))),
  ));
  setCondition(oneHot(0));
}

// ---- encode ---------------------------------------------------------------------------------

async function encode(x, button = null) {
  const { mean, scale } = checkValid(await model.run("encode", withCondition({ x })));
  const reconstruction = await model.run("reconstruct", withCondition({ x }));
  state.x = x;
  document.querySelector(".panes").hidden = false;
  painter.paint($("input"), x);
  painter.paint($("reconstruction"), reconstruction.mean);
  let text = "z became the center of q(z|x).";
  if (scale) {
    const spread = scale.reduce((sum, s) => sum + s, 0) / scale.length;
    text = `z became the mean of q(z|x), whose standard deviations are ${spread.toPrecision(2)} on average.`;
  }
  $("encode-text").textContent = text;
  $("encode-draw").disabled = false;
  return setZ(mean, button);
}

// The picture of x is also a pad to draw on, at the size of an example.
function makePad() {
  let last = null;
  let drawn = null;
  const encodeDrawn = coalesced(() => encode(drawn));
  const clear = () => {
    drawn = new Float32Array(painter.size).fill(painter.low);
    painter.paint($("input"), drawn);
  };
  const stroke = (event) => {
    const box = $("input").getBoundingClientRect();
    const place = [
      ((event.clientX - box.left) / box.width) * painter.width,
      ((event.clientY - box.top) / box.height) * painter.height,
    ];
    drawn = painter.stroke(drawn, last ?? place, place);
    last = place;
    encodeDrawn();
  };
  $("input").classList.add("pad");
  $("input-caption").textContent = "x: draw here";
  document.querySelector(".panes").hidden = false;
  $("clear").hidden = false;
  $("clear").addEventListener("click", handler(() => {
    clear();
    return encode(drawn);
  }));
  $("input").addEventListener("pointerdown", (event) => {
    $("input").setPointerCapture(event.pointerId);
    drawn = state.x ?? drawn;
    stroke(event);
  });
  $("input").addEventListener("pointermove", (event) => {
    if ($("input").hasPointerCapture(event.pointerId)) stroke(event);
  });
  $("input").addEventListener("lostpointercapture", () => (last = null));
  clear();
  painter.paint($("reconstruction"), drawn);
}

async function encodeFile() {
  if (file) await encode(await painter.read(file, $("invert").checked));
}

function makeEncode() {
  $("encode-section").hidden = !model.has("encode");
  for (const id of ["input", "reconstruction"]) painter.prepare($(id));
  if (painter.isImage) makePad();
  $("image-input").hidden = !painter.isImage;
  $("number-input").hidden = painter.isImage;
  document.querySelector(".panes").classList.toggle("plot", !painter.isImage);
  $("file").addEventListener("change", handler(() => {
    file = $("file").files[0];
    return encodeFile();
  }));
  $("invert").addEventListener("change", handler(encodeFile));
  for (const name of ["dragover", "dragleave", "drop"]) {
    $("encode-section").addEventListener(name, (event) => {
      event.preventDefault();
      $("drop").classList.toggle("over", name === "dragover");
    });
  }
  $("encode-section").addEventListener("drop", handler((event) => {
    if (!painter.isImage || !event.dataTransfer.files.length) return undefined;
    file = event.dataTransfer.files[0];
    return encodeFile();
  }));
  $("number-input").addEventListener("submit", handler((event) => {
    event.preventDefault();
    return encode(painter.parse($("numbers-text").value));
  }));
  $("encode-draw").hidden = !model.has("encode_sample");
  $("encode-draw").addEventListener("click", handler(async () => {
    const seed = crypto.getRandomValues(new Int32Array(2));
    const { z } = await model.run("encode_sample", withCondition({ x: state.x, seed }));
    $("encode-text").textContent = "z became a draw from q(z|x).";
    return setZ(z);
  }));
}

async function makeExamples(count) {
  if (!count || !model.has("encode")) return;
  const floats = async (name) => new Float32Array((await loadChecked(`examples/${name}.bin`, manifest)).buffer);
  const x = await floats("x");
  const conditions = state.condition ? await floats("condition") : null;
  for (let i = 0; i < count; i++) {
    const own = x.slice(i * painter.size, (i + 1) * painter.size);
    const button = thumbnail(`Encode example ${i}`, own);
    button.addEventListener("click", handler(async () => {
      if (!painter.isImage) $("numbers-text").value = Array.from(own, (v) => +v.toPrecision(6)).join(" ");
      if (conditions) {
        const size = state.condition.length;
        await conditionChanged(Array.from(conditions.subarray(i * size, (i + 1) * size)));
      }
      return encode(own, button);
    }));
    $("examples").append(button);
  }
}

function thumbnail(label, values) {
  const canvas = element("canvas");
  painter.prepare(canvas);
  const button = element("button", { type: "button", title: label }, canvas);
  button.setAttribute("aria-label", label);
  button.setAttribute("aria-pressed", "false");
  painter.paint(canvas, values);
  return button;
}

// ---- sample ---------------------------------------------------------------------------------

let drawing = 0;
async function drawSamples() {
  const mine = ++drawing;
  const seed = Number($("seed").value);
  if ($("seed").value === "" || !Number.isInteger(seed) || seed !== (seed | 0)) {
    throw new Error("A seed is a whole number from -2147483648 to 2147483647.");
  }
  state.samples = { seed, z: [], mean: [] };
  $("samples").replaceChildren();
  for (let i = 0; i < SAMPLES; i++) {
    const { mean, z } = await model.run("sample", withCondition({ seed: [seed, i] }));
    if (mine !== drawing) return;
    state.samples.z.push(z);
    state.samples.mean.push(mean);
    const button = thumbnail(`Explore sample ${i}`, mean);
    button.addEventListener("click", handler(() => setZ(z, button)));
    $("samples").append(button);
  }
}

function makeSample() {
  $("sample-section").hidden = !model.has("sample");
  $("sample-form").addEventListener("submit", handler((event) => {
    event.preventDefault();
    return drawSamples();
  }));
  $("next-seed").addEventListener("click", handler(() => {
    $("seed").value = (Number($("seed").value) + 1) | 0;
    return drawSamples();
  }));
}

async function randomZ() {
  if (model.has("sample")) {
    const seed = crypto.getRandomValues(new Int32Array(2));
    return (await model.run("sample", withCondition({ seed }))).z;
  }
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return latents.center.map((center, i) => center + latents.scale[i] * normal());
}

// ---- start ----------------------------------------------------------------------------------

async function start() {
  $("status").textContent = "Loading…";
  manifest = JSON.parse(new TextDecoder().decode(await load("manifest.json")));
  model = await Model.load(manifest);
  latents = manifest.latents;
  painter = new (manifest.display.is_image ? Pictures : Bars)(manifest.event_shape, manifest.display);

  document.title = `${manifest.title}: latent-space explorer`;
  $("title").textContent = manifest.title;
  $("subtitle").textContent =
    `Latent-space explorer: ${latents.order.length} dimensions, ${manifest.num_weights.toLocaleString("en")} weights.`;
  for (const [name, text] of Object.entries(manifest.card)) {
    $("card").append(element("dt", { textContent: name }), element("dd", { textContent: text }));
  }
  painter.prepare($("decoded"));
  $("decoded-figure").classList.toggle("plot", !painter.isImage);
  $("numbers").hidden = painter.isImage;
  $("numbers").addEventListener("toggle", () => state.mean && showNumbers());
  $("random").addEventListener("click", handler(async () => setZ(await randomZ())));
  $("reset").addEventListener("click", handler(() => setZ(latents.center)));
  $("main").hidden = false;
  if (manifest.condition_size) makeCondition(manifest.condition_size);
  makeSliders();
  makeMap();
  makeEncode();
  makeSample();
  await setZ(latents.center);
  await makeExamples(manifest.num_examples);
  if (model.has("sample")) await drawSamples();
  $("status").textContent = "Ready";
  $("status").classList.add("ready");
}

// For the console, and for tests: what the page holds, and any signature.
globalThis.tfvae = {
  state,
  get manifest() {
    return manifest;
  },
  run: (name, inputs) => model.run(name, inputs),
  settled: () => Promise.all([decode(), drawMap()]),
  ready: start().catch((error) => {
    $("status").textContent = "Not ready";
    fail(error);
    throw error;
  }),
};
globalThis.tfvae.ready.catch(() => {}); // it is shown in the page
