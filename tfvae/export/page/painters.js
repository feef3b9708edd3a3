// Draws examples: as pictures if they are images, and as bars if not.

export const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

// Examples as pictures: [H, W], [H, W, 1] or [H, W, 3].
export class Pictures {
  isImage = true;

  constructor([height, width, channels = 1], { low, high }) {
    Object.assign(this, { height, width, channels, low, high });
    this.size = height * width * channels;
    this.cells = Math.max(4, Math.min(12, Math.floor(340 / Math.max(height, width))));
  }

  prepare(canvas, columns = 1, rows = 1) {
    canvas.width = (this.width + 1) * columns - 1; // a line between them
    canvas.height = (this.height + 1) * rows - 1;
    canvas.classList.toggle("pixels", Math.max(this.width, this.height) <= 96);
  }

  paint(canvas, values, offset = 0, column = 0, row = 0) {
    const image = new ImageData(this.width, this.height);
    const scale = 255 / (this.high - this.low);
    for (let i = 0; i < this.width * this.height; i++) {
      for (let c = 0; c < 3; c++) {
        const value = values[offset + i * this.channels + (this.channels === 3 ? c : 0)];
        image.data[4 * i + c] = Math.round((value - this.low) * scale); // clamped by the array
      }
      image.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, column * (this.width + 1), row * (this.height + 1));
  }

  // Returns an example with a soft line in it, from one place [x, y] to another.
  stroke(values, from, to) {
    const made = Float32Array.from(values);
    const radius = Math.max(0.6, Math.min(this.width, this.height) / 24);
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const square = dx * dx + dy * dy;
    for (let i = 0; i < this.width * this.height; i++) {
      const [x, y] = [(i % this.width) + 0.5 - from[0], Math.floor(i / this.width) + 0.5 - from[1]];
      const along = square ? Math.max(0, Math.min(1, (x * dx + y * dy) / square)) : 0;
      const shade = Math.min(1, radius + 0.5 - Math.hypot(x - along * dx, y - along * dy));
      for (let c = 0; c < this.channels; c++) {
        const index = i * this.channels + c;
        made[index] = Math.max(made[index], this.low + (this.high - this.low) * shade);
      }
    }
    return made;
  }

  // The middle of an image, at the size of an example.
  async read(file, isInverted) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      throw new Error(`${file.name} is no image that this browser can read.`);
    }
    const canvas = element("canvas", { width: this.width, height: this.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.width, this.height);
    const zoom = Math.max(this.width / bitmap.width, this.height / bitmap.height);
    const [width, height] = [bitmap.width * zoom, bitmap.height * zoom];
    context.drawImage(bitmap, (this.width - width) / 2, (this.height - height) / 2, width, height);
    bitmap.close();
    const { data } = context.getImageData(0, 0, this.width, this.height);
    const x = new Float32Array(this.size);
    for (let i = 0; i < this.width * this.height; i++) {
      const colour = Array.from(data.subarray(4 * i, 4 * i + 3), (v) => (isInverted ? 255 - v : v) / 255);
      const shades =
        this.channels === 3 ? colour : [0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]];
      shades.forEach((v, c) => (x[i * this.channels + c] = this.low + (this.high - this.low) * v));
    }
    return x;
  }
}

// Any other examples, as bars.
export class Bars {
  isImage = false;
  cells = 8;

  constructor(shape, { low, high }) {
    this.size = shape.reduce((a, b) => a * b, 1);
    [this.low, this.high] = [Math.min(low, 0), Math.max(high, 0)];
  }

  prepare(canvas, columns = 1, rows = 1) {
    canvas.width = columns > 1 ? columns * 80 : 640;
    canvas.height = rows > 1 ? rows * 80 : 240;
    Object.assign(canvas, { cellWidth: canvas.width / columns, cellHeight: canvas.height / rows });
    canvas.classList.add("plot");
  }

  paint(canvas, values, offset = 0, column = 0, row = 0) {
    const context = canvas.getContext("2d");
    const { cellWidth: width, cellHeight: height } = canvas;
    const [left, top] = [column * width, row * height];
    context.clearRect(left, top, width, height);
    const up = (value) => top + height * (0.95 - (0.9 * (value - this.low)) / (this.high - this.low));
    const step = (width * 0.94) / this.size;
    const style = getComputedStyle(document.documentElement);
    context.fillStyle = style.getPropertyValue("--accent");
    for (let i = 0; i < this.size; i++) {
      const value = Math.max(this.low, Math.min(this.high, values[offset + i]));
      const [a, b] = [up(Math.max(value, 0)), up(Math.min(value, 0))];
      context.fillRect(left + width * 0.03 + i * step, a, Math.max(1, step * 0.8), Math.max(1, b - a));
    }
    context.fillStyle = style.getPropertyValue("--soft");
    context.fillRect(left + width * 0.03, up(0), width * 0.94, 1);
  }

  parse(text) {
    const words = text.split(/[\s,;]+/).filter(Boolean);
    const numbers = words.map(Number);
    if (numbers.length !== this.size || !numbers.every(Number.isFinite)) {
      throw new Error(`An example is ${this.size} numbers. Received: ${numbers.length} words.`);
    }
    return Float32Array.from(numbers);
  }
}
