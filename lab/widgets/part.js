// A recording at a glance, with a window over the part that is used: drag it, click, or use the keys.

const parts = new WeakMap();
const PAUSE = 250; // ms after the last key

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".part");
  let part = parts.get(root);
  if (!part) {
    part = { root };
    parts.set(root, part);
    build(part);
  }
  part.say = () => { if (part.start !== part.reported) setStateValue("start", (part.reported = part.start)); };
  if (part.of !== data.of || part.sent !== data.start) part.start = data.start;
  Object.assign(part, { of: data.of, sent: data.start, reported: data.start, data });
  part.window.ariaLabel = data.label;
  draw(part);
  paint(part);
}

function build(part) {
  const element = (className, children = []) => {
    const node = Object.assign(document.createElement("div"), { className });
    node.append(...children);
    return node;
  };
  part.canvas = document.createElement("canvas");
  part.canvas.ariaHidden = "true";
  part.window = Object.assign(element("window"), { role: "slider", tabIndex: 0 });
  part.track = element("track", [part.canvas, part.window]);
  part.words = element("words");
  part.words.ariaHidden = "true"; // as the window's value says
  part.root.replaceChildren(part.track, part.words);
  part.window.addEventListener("keydown", (event) => pressed(part, event));
  let held = null; // seconds from the window's beginning to the pointer
  part.track.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const at = time(part, event), inside = at >= part.start && at <= part.start + part.data.length;
    held = inside ? at - part.start : part.data.length / 2;
    part.track.setPointerCapture(event.pointerId);
    move(part, at - held);
    part.window.focus({ preventScroll: true });
    event.preventDefault();
  });
  part.track.addEventListener("pointermove", (event) => { if (held !== null) move(part, time(part, event) - held); });
  for (const kind of ["pointerup", "pointercancel"])
    part.track.addEventListener(kind, () => { if (held !== null) { held = null; part.say(); } });
  new ResizeObserver(() => draw(part)).observe(part.canvas);
}

function time({ track, data }, { clientX }) {
  const { left, width } = track.getBoundingClientRect();
  return (data.duration * (clientX - left)) / width;
}

function move(part, to) {
  const { duration, length } = part.data, last = Math.floor((duration - length) * 10 + 1e-6) / 10;
  part.start = Math.round(Math.min(Math.max(0, to), last) * 10) / 10;
  paint(part);
}

function pressed(part, event) {
  const { duration, length } = part.data, step = event.shiftKey ? 1 : 0.1;
  const to = { ArrowLeft: part.start - step, ArrowDown: part.start - step, ArrowRight: part.start + step,
    ArrowUp: part.start + step, PageDown: part.start - length, PageUp: part.start + length,
    Home: 0, End: duration }[event.key];
  if (to === undefined) return;
  move(part, to);
  clearTimeout(part.timer);
  part.timer = setTimeout(part.say, PAUSE);
  event.preventDefault();
}

function paint({ window: frame, words, start, data: { duration, length, name } }) {
  frame.style.left = `${(100 * start) / duration}%`;
  frame.style.width = `${(100 * length) / duration}%`;
  const end = start + length, text = `${start.toFixed(1)} to ${end.toFixed(1)} s of ${duration.toFixed(1)} s`;
  Object.assign(frame, { ariaValueMin: "0", ariaValueMax: (duration - length).toFixed(1),
    ariaValueNow: start.toFixed(1), ariaValueText: text });
  words.textContent = `${name ? `${name}, used` : "Used"}: ${text}`;
}

function draw({ canvas, root, data }) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = globalThis.devicePixelRatio || 1;
  if (!width || !data) return;
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  const pen = canvas.getContext("2d"), middle = (height * ratio) / 2, step = canvas.width / data.peaks.length;
  pen.fillStyle = getComputedStyle(root).getPropertyValue("--st-primary-color");
  data.peaks.forEach(([low, high], i) => {
    const top = middle - (high / 100) * (middle - 2), bottom = middle - (low / 100) * (middle - 2);
    pen.fillRect(i * step, top - 0.5, Math.max(1, step), bottom - top + 1);
  });
}
