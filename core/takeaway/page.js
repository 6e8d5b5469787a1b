// The map, the clips and their swaps in the file: no other file is loaded, no address is opened.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const LIGHT = ["#D9541E", "#1F6F78", "#6B5CA5", "#8A6D1D", "#C2477F", "#3E8F4B", "#3C78C8", "#8C6246", "#B4536A",
  "#4F8A1E", "#A94442", "#6B7326"];
const DARK = ["#FF8A50", "#4FB0B8", "#A99BE0", "#D2B356", "#E87DAE", "#6CC47B", "#7FB0F0", "#C79A78", "#F0A3B5",
  "#9BD66B", "#E08A84", "#BCC46A"];
const NEAR = 24; // pixels from a point within which a click or a finger means it
const one = (selector) => document.querySelector(selector);
const dark = matchMedia("(prefers-color-scheme: dark)");
const EDGE = 30, WIDE = data.size[0] + 2 * EDGE, HIGH = data.size[1] + 2 * EDGE;
const across = (x) => 100 * (x + EDGE) / WIDE, down = (y) => 100 * (y + EDGE) / HIGH; // percent
const plot = one("#plot"), svg = one("#plot svg"), keys = one("#keys"), tip = one("#tip");
let chosen = -1, group = -1;

function make(tag, text, parent) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
}

function colour(number) {
  if (["", "other"].includes(data.groups[number])) return "#8A979D";
  const colours = dark.matches ? DARK : LIGHT;
  return colours[number % colours.length];
}

const label = (clip) => {
  const kind = data.groups[clip.group];
  return kind && !clip.name.toLowerCase().includes(kind.toLowerCase()) ? `${clip.name}, ${kind}` : clip.name;
};
const source = (sound) => `data:audio/mpeg;base64,${sound}`;

// -- the map ----------------------------------------------------------------------------------

function dot(x, y, kind, radius, classes) {
  const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  for (const [name, value] of Object.entries({ cx: x, cy: y, r: radius, class: classes })) circle.setAttribute(name, value);
  circle.dataset.group = kind;
  svg.append(circle);
  return circle;
}

svg.setAttribute("viewBox", `${-EDGE} ${-EDGE} ${WIDE} ${HIGH}`);
const small = data.points.length > 1000 ? 5 : 7;
data.points.forEach(([x, y, kind]) => dot(x, y, kind, small, ""));
const dots = data.clips.map((clip) => dot(clip.x, clip.y, clip.group, 14, "sound"));
const stops = data.clips.map((clip, number) => {
  const key = make("button", undefined, keys);
  key.type = "button";
  key.tabIndex = number ? -1 : 0;
  key.setAttribute("aria-label", `Play ${label(clip)}`);
  key.style.left = `${across(clip.x)}%`;
  key.style.top = `${down(clip.y)}%`;
  key.addEventListener("click", (event) => { event.stopPropagation(); choose(number, true); });
  key.addEventListener("focus", () => show(number));
  key.addEventListener("blur", () => { tip.hidden = true; });
  key.addEventListener("keydown", (event) => walk(event, number));
  return key;
});

// Arrow keys go to the nearest clip in their direction; Home and End to the first and the last.
function walk(event, from) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  let to = { Home: 0, End: stops.length - 1 }[event.key];
  if (way) {
    let best = Infinity;
    data.clips.forEach((clip, i) => {
      const x = clip.x - data.clips[from].x, y = clip.y - data.clips[from].y;
      const along = x * way[0] + y * way[1], aside = Math.abs(x * way[1]) + Math.abs(y * way[0]);
      // Clips in one place follow one another, so that none is out of reach.
      const cost = along > 0 ? along + 2 * aside : x === 0 && y === 0 && (i - from) * (way[0] + way[1]) > 0 ? 0.5 : Infinity;
      if (i !== from && cost < best) [best, to] = [cost, i];
    });
  }
  if (!way && to === undefined) return;
  event.preventDefault();
  if (to === undefined) return;
  stops.forEach((key, i) => { key.tabIndex = i === to ? 0 : -1; });
  stops[to].focus();
}

function nearest(event, list, place) {
  const box = svg.getBoundingClientRect(), scale = box.width / WIDE;
  let best = NEAR, found = -1;
  list.forEach((item, i) => {
    const [x, y, kind] = place(item);
    if (group >= 0 && kind !== group) return;
    const far = Math.hypot(box.left + (x + EDGE) * scale - event.clientX, box.top + (y + EDGE) * scale - event.clientY);
    if (far < best) [best, found] = [far, i];
  });
  return [found, best];
}

function under(event) {
  const [clip, far] = nearest(event, data.clips, (item) => [item.x, item.y, item.group]);
  const [point, other] = nearest(event, data.points, (item) => item);
  return clip >= 0 && far <= other + 8 ? { clip } : point >= 0 && other < NEAR / 2 ? { point } : { clip };
}

function hint(x, y, text) {
  tip.textContent = text;
  tip.hidden = false;
  const right = across(x) > 50;
  tip.style.left = right ? "auto" : `${across(x) + 2}%`;
  tip.style.right = right ? `${102 - across(x)}%` : "auto";
  tip.style.top = `${Math.min(92, down(y))}%`;
}

const show = (number) => hint(data.clips[number].x, data.clips[number].y, label(data.clips[number]));

plot.addEventListener("pointermove", (event) => {
  const { clip = -1, point = -1 } = under(event);
  if (clip >= 0) show(clip);
  else if (point >= 0) hint(data.points[point][0], data.points[point][1], data.points[point][3]);
  else tip.hidden = true;
});
plot.addEventListener("pointerleave", () => { tip.hidden = true; });
plot.addEventListener("click", (event) => {
  const { clip = -1, point = -1 } = under(event);
  if (clip >= 0) choose(clip, true);
  else if (point >= 0) hint(data.points[point][0], data.points[point][1], `${data.points[point][3]}: no sound in this file`);
});

// -- the legend -------------------------------------------------------------------------------

const legend = one("#legend");
legend.setAttribute("aria-label", `Show one ${data.column || "group"} only`);
data.groups.forEach((name, number) => {
  const key = make("button", undefined, legend);
  key.type = "button";
  key.setAttribute("aria-pressed", "false");
  make("i", undefined, key).setAttribute("aria-hidden", "true");
  key.append(name || "unknown");
  key.addEventListener("click", () => {
    group = group === number ? -1 : number;
    [...legend.children].forEach((other, i) => other.setAttribute("aria-pressed", String(i === group)));
    plot.classList.toggle("filtered", group >= 0);
    svg.querySelectorAll("circle").forEach((circle) => circle.classList.toggle("on", Number(circle.dataset.group) === group));
  });
});
legend.hidden = data.groups.length < 2;
one("#caption").textContent = data.caption;

function paint() {
  svg.querySelectorAll("circle").forEach((circle) => { circle.style.fill = colour(Number(circle.dataset.group)); });
  [...legend.querySelectorAll("i")].forEach((mark, i) => { mark.style.background = colour(i); });
}
paint();
dark.addEventListener("change", paint);

// -- clips ------------------------------------------------------------------------------------

const entries = data.clips.map((clip, number) => {
  const key = make("button", clip.name, make("li", undefined, one("#all")));
  key.type = "button";
  key.setAttribute("aria-pressed", "false");
  if (label(clip) !== clip.name) make("small", data.groups[clip.group], key);
  key.addEventListener("click", () => choose(number, true));
  return key;
});

function choose(number, aloud) {
  const clip = data.clips[number], sound = one("#clip-sound");
  chosen = number;
  dots.forEach((circle, i) => circle.classList.toggle("chosen", i === number));
  entries.forEach((key, i) => key.setAttribute("aria-pressed", String(i === number)));
  stops.forEach((key, i) => { key.tabIndex = i === number ? 0 : -1; });
  one("#clip-name").textContent = clip.name;
  const facts = one("#clip-facts");
  facts.replaceChildren();
  for (const [name, value] of Object.entries(clip.facts)) { make("dt", name, facts); make("dd", value, facts); }
  sound.hidden = false;
  sound.setAttribute("aria-label", clip.name);
  sound.src = source(clip.sound);
  one(".actions").hidden = !data.swaps.length;
  if (aloud) sound.play();
}

document.addEventListener("play", (event) => {
  document.querySelectorAll("audio").forEach((other) => { if (other !== event.target) other.pause(); });
}, true);

// -- swaps ------------------------------------------------------------------------------------

const melody = one("#melody"), instrument = one("#instrument"), swapped = one("#swap-sound");
const swapOf = () => data.swaps.find((swap) => swap.melody === Number(melody.value) && swap.instrument === Number(instrument.value));

function showSwap() {
  const first = data.clips[melody.value], second = data.clips[instrument.value], found = swapOf();
  one("#melody-sound").src = source(first.sound);
  one("#instrument-sound").src = source(second.sound);
  const same = first === second;
  one("#swap-name").textContent = !found ? "This swap is not in this file."
    : same ? `${first.name}, reconstructed` : `Melody of ${first.name}, instrument of ${second.name}`;
  swapped.hidden = !found;
  if (found) swapped.src = source(found.sound); else swapped.removeAttribute("src");
}

if (data.swaps.length) {
  one("#swap").hidden = false;
  data.clips.forEach((clip, number) => [melody, instrument].forEach((box) => { make("option", clip.name, box).value = number; }));
  instrument.value = String(Math.min(1, data.clips.length - 1));
  if (!swapOf()) [melody.value, instrument.value] = [data.swaps[0].melody, data.swaps[0].instrument];
  [melody, instrument].forEach((box) => box.addEventListener("change", showSwap));
  document.querySelectorAll("[data-take]").forEach((key) => key.addEventListener("click", () => {
    one(`#${key.dataset.take}`).value = String(chosen);
    showSwap();
    swapped.focus();
  }));
  showSwap();
}

// -- what was left out ------------------------------------------------------------------------

one("#left-out").hidden = !data.leftOut.length;
data.leftOut.forEach((text) => make("li", text, one("#left-out ul")));
