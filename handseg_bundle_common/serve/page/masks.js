// Overlapping masks in the browser: one integer a pixel, bit k for bone k, and outlines as paths.

const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]];
// The pixels to the right and to the left ahead of a corner, by direction.
const RIGHT = [[0, 0], [-1, 0], [-1, -1], [0, -1]];
const LEFT = [[0, -1], [0, 0], [-1, 0], [-1, -1]];

export class Masks {
  constructor({ height, width, masks }, bones) {
    Object.assign(this, { height, width });
    this.packed = new Uint32Array(height * width);
    this.boxes = bones.map((bone, channel) => this.#fill(masks[bone.bone], channel));
    this.paths = this.boxes.map((box, channel) => this.#paths(box, (1 << channel) >>> 0));
    this.shared = this.#shared();
  }

  at(x, y) {
    const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    return inside ? this.packed[Math.floor(y) * this.width + Math.floor(x)] : 0;
  }

  // The outline of what belongs to two visible bones or more.
  overlap(visible) {
    const pixels = this.shared.filter((pixel) => several(this.packed[pixel] & visible));
    const chosen = new Set(pixels);
    const box = this.#boxOf(pixels);
    const inside = (x, y) => x >= 0 && x < this.width && chosen.has(y * this.width + x);
    return box && outlines(box, inside).reduce((path, ring) => polygon(path, ring), new Path2D());
  }

  #fill(code, channel) {
    const bit = (1 << channel) >>> 0;
    const numbers = code ? code.split(" ").map(Number) : [];
    const box = { left: this.width, top: this.height, right: 0, bottom: 0 };
    for (let k = 0; k < numbers.length; k += 2) {
      const first = numbers[k] - 1;
      const end = first + numbers[k + 1];
      for (let pixel = first; pixel < end; pixel += 1) this.packed[pixel] |= bit;
      for (let start = first; start < end; ) {
        const row = Math.floor(start / this.width);
        const stop = Math.min(end, (row + 1) * this.width);
        box.left = Math.min(box.left, start - row * this.width);
        box.right = Math.max(box.right, stop - row * this.width);
        box.top = Math.min(box.top, row);
        box.bottom = Math.max(box.bottom, row + 1);
        start = stop;
      }
    }
    return numbers.length ? box : null;
  }

  #boxOf(pixels) {
    if (!pixels.length) return null;
    const box = { left: this.width, top: this.height, right: 0, bottom: 0 };
    for (const pixel of pixels) {
      const y = Math.floor(pixel / this.width);
      const x = pixel - y * this.width;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
    }
    return box;
  }

  // A path along the edges of pixels, for a close look, and a smoother one, which is never half a pixel away from it.
  #paths(box, bit) {
    if (!box) return null;
    const inside = (x, y) =>
      x >= 0 && y >= 0 && x < this.width && y < this.height && (this.packed[y * this.width + x] & bit) !== 0;
    const rings = outlines(box, inside);
    return {
      exact: rings.reduce((path, ring) => polygon(path, ring), new Path2D()),
      smooth: rings.reduce((path, ring) => polygon(path, smoothed(ring)), new Path2D()),
    };
  }

  #shared() {
    const pixels = [];
    for (let pixel = 0; pixel < this.packed.length; pixel += 1) {
      if (several(this.packed[pixel])) pixels.push(pixel);
    }
    return pixels;
  }
}

export const channelsOf = (bits) => [...Array(29).keys()].filter((channel) => (bits >>> channel) & 1);

const several = (bits) => (bits & (bits - 1)) !== 0;

// Rings of corners around what is inside, one corner a pixel's edge, with the inside to the right.
function outlines(box, inside) {
  const rings = [];
  const width = box.right - box.left;
  const seen = new Uint8Array(width * (box.bottom - box.top));
  const place = (x, y) => (y - box.top) * width + x - box.left;
  for (let y = box.top; y < box.bottom; y += 1) {
    for (let x = box.left; x < box.right; x += 1) {
      if (seen[place(x, y)] || !inside(x, y) || inside(x, y - 1)) continue;
      rings.push(ringFrom(x, y, inside, (left, top) => { seen[place(left, top)] = 1; }));
    }
  }
  return rings;
}

function ringFrom(startX, startY, inside, see) {
  const ring = [];
  let [x, y, direction] = [startX, startY, 0];
  do {
    if (direction === 0) see(x, y);
    ring.push([x, y]);
    x += STEPS[direction][0];
    y += STEPS[direction][1];
    const [right, left] = [RIGHT[direction], LEFT[direction]];
    if (!inside(x + right[0], y + right[1])) direction = (direction + 1) % 4;
    else if (inside(x + left[0], y + left[1])) direction = (direction + 3) % 4;
  } while (x !== startX || y !== startY || direction !== 0);
  return ring;
}

function smoothed(ring) {
  const { length } = ring;
  const middles = ring.map(([x, y], k) => {
    const [nextX, nextY] = ring[(k + 1) % length];
    return [(x + nextX) / 2, (y + nextY) / 2];
  });
  return middles.map(([x, y], k) => {
    const [before, after] = [middles[(k + length - 1) % length], middles[(k + 1) % length]];
    return [(before[0] + 2 * x + after[0]) / 4, (before[1] + 2 * y + after[1]) / 4];
  });
}

function polygon(path, points) {
  points.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
  return path;
}
