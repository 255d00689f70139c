// A radiograph with its bones on a canvas. Several views share one camera, so that they move together.

const LARGEST = 40;
// From here on single pixels are seen, and masks are shown along their edges.
const PIXELS_SEEN = 3;
const FONT = 'system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif';
const [SMALLEST_NAME, LARGEST_NAME, NAME_SHARE] = [8.5, 12, 0.016];

export class Camera {
  constructor(width, height) {
    Object.assign(this, { width, height, x: width / 2, y: height / 2, zoom: 1 });
    this.views = new Set();
  }

  // How many screen pixels a pixel of the picture takes.
  get scale() {
    return this.zoom * this.fitting;
  }

  get fitting() {
    const sides = [...this.views].map((view) => Math.min(view.width / this.width, view.height / this.height));
    return (Math.min(...sides) || 1) * 0.97;
  }

  fit() {
    Object.assign(this, { x: this.width / 2, y: this.height / 2, zoom: 1 });
    this.draw();
  }

  // Zoom about a place on the screen, relative to the middle of a view.
  zoomBy(factor, right = 0, down = 0) {
    const before = this.scale;
    this.zoom = Math.min(Math.max(this.zoom * factor, 0.5), LARGEST / this.fitting);
    this.move(right / before - right / this.scale, down / before - down / this.scale);
  }

  move(right, down) {
    this.x = Math.min(Math.max(this.x + right, 0), this.width);
    this.y = Math.min(Math.max(this.y + down, 0), this.height);
    this.draw();
  }

  draw() {
    this.views.forEach((view) => view.draw());
    this.onchange?.(this.scale);
  }
}

export class View {
  // `look` is shared by all views: which bones are visible, the highlighted one, and what is shown.
  constructor(canvas, camera, { picture, masks, study, bones, look }) {
    Object.assign(this, { canvas, camera, picture, masks, study, bones, look });
    this.context = canvas.getContext("2d");
    this.mark = null;
    this.observer = new ResizeObserver(() => this.#resize());
    this.observer.observe(canvas);
    camera.views.add(this);
    this.#follow();
  }

  close() {
    this.observer.disconnect();
    this.camera.views.delete(this);
  }

  get width() { return this.canvas.clientWidth; }
  get height() { return this.canvas.clientHeight; }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left - this.width / 2, event.clientY - box.top - this.height / 2];
  }

  pixel(event) {
    const [right, down] = this.place(event);
    return [this.camera.x + right / this.camera.scale, this.camera.y + down / this.camera.scale];
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => { this.drawing = null; this.#paint(); });
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.camera.draw();
  }

  #paint() {
    const { context, camera, look } = this;
    const ratio = window.devicePixelRatio || 1;
    const { scale } = camera;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const left = this.width / 2 - camera.x * scale;
    const top = this.height / 2 - camera.y * scale;
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * left, ratio * top);
    context.imageSmoothingEnabled = scale < PIXELS_SEEN;
    context.imageSmoothingQuality = "high";
    context.filter = look.light === 1 ? "none" : `brightness(${look.light})`;
    context.drawImage(this.picture, 0, 0);
    context.filter = "none";
    this.#bones(scale);
    if (look.overlaps) this.#hatch(scale);
    this.#highlight(scale);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (look.names) this.#names(left, top, scale);
    if (this.mark) this.#cross(left + this.mark[0] * scale, top + this.mark[1] * scale);
  }

  #path(channel, scale) {
    const paths = this.masks.paths[channel];
    return paths && (scale < PIXELS_SEEN ? paths.smooth : paths.exact);
  }

  #bones(scale) {
    const { context, look } = this;
    this.bones.forEach((bone, channel) => {
      const path = look.visible[channel] && this.#path(channel, scale);
      if (!path) return;
      context.fillStyle = context.strokeStyle = bone.colour;
      context.globalAlpha = look.opacity;
      context.fill(path, "evenodd");
      context.globalAlpha = 1;
      context.lineWidth = 1.4 / scale;
      context.lineJoin = "round";
      if (look.outlines) context.stroke(path);
    });
  }

  // Stripes where bones overlap, as far apart at every magnification.
  #hatch(scale) {
    const { context, look, masks } = this;
    const key = look.visible.map(Number).join("");
    if (this.hatched?.key !== key) {
      const visible = look.visible.reduce((bits, shown, channel) => bits | (Number(shown) << channel), 0);
      this.hatched = { key, path: masks.overlap(visible) };
    }
    if (!this.hatched.path) return;
    context.save();
    context.clip(this.hatched.path, "evenodd");
    context.beginPath();
    const step = 5 / scale;
    for (let x = -masks.height; x < masks.width; x += step) {
      context.moveTo(x, 0);
      context.lineTo(x + masks.height, masks.height);
    }
    context.lineWidth = 1.1 / scale;
    context.strokeStyle = "rgb(255 255 255 / 80%)";
    context.stroke();
    context.restore();
  }

  #highlight(scale) {
    const { context, look, bones } = this;
    for (const channel of look.highlighted) {
      const path = this.#path(channel, scale);
      if (!path) continue;
      context.fillStyle = bones[channel].colour;
      context.globalAlpha = 0.3;
      if (look.visible[channel]) context.fill(path, "evenodd");
      context.globalAlpha = 1;
      context.lineWidth = 2.4 / scale;
      context.strokeStyle = "#fff";
      context.stroke(path);
    }
  }

  #names(left, top, scale) {
    const { context, look } = this;
    const size = Math.min(Math.max(NAME_SHARE * this.picture.height * scale, SMALLEST_NAME), LARGEST_NAME);
    context.font = `600 ${size}px ${FONT}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = size / 4;
    this.study.bones.forEach((found, channel) => {
      if (!found.label || !look.visible[channel]) return;
      const [x, y] = [left + (found.label[0] + 0.5) * scale, top + (found.label[1] + 0.5) * scale];
      const text = this.bones[channel].abbreviation;
      context.strokeStyle = "rgb(10 10 12 / 85%)";
      context.strokeText(text, x, y);
      context.fillStyle = "#f4f6f8";
      context.fillText(text, x, y);
    });
  }

  // Where the pointer is in another view.
  #cross(x, y) {
    const { context } = this;
    context.beginPath();
    for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * right, y + 4 * down);
      context.lineTo(x + 12 * right, y + 12 * down);
    }
    for (const [width, style] of [[4, "rgb(0 0 0 / 70%)"], [1.6, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.stroke();
    }
  }

  #follow() {
    const { canvas, camera } = this;
    const pointers = new Map();
    let spread = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      camera.zoomBy(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...this.place(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      spread = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      camera.move(
        (before.clientX - event.clientX) / camera.scale / pointers.size,
        (before.clientY - event.clientY) / camera.scale / pointers.size,
      );
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) {
        const [first, second] = pointers.values();
        const now = Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY);
        if (spread) camera.zoomBy(now / spread);
        spread = now;
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => { pointers.delete(event.pointerId); spread = 0; });
    }
    canvas.addEventListener("dblclick", (event) => camera.zoomBy(2, ...this.place(event)));
  }
}
