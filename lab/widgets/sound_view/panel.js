// A panel: one sound of a group as a picture with a playhead. Click to seek, drag to select.

const panels = new WeakMap();
const NEAR = { mouse: 6, pen: 8, touch: 16 }; // pixels from an edge of the selection that take it
const HELP = "Space plays and pauses; left and right move; with Shift they select; up and down switch " +
  "to another sound; L loops; plus and minus zoom, 0 shows all; Escape clears the selection.";

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".sound, .sounds");
  if (data.bar) return bar(root, data);
  let panel = panels.get(root);
  if (!panel) {
    panel = { id: data.id, root, group: null, buffer: null };
    panels.set(root, panel);
    panel.paint = (what) => paint(panel, what);
    panel.load = ({ detail }) => { if (!detail || detail === panel.id) load(panel); };
    build(panel, data.look);
  }
  panel.name = data.name;
  panel.short = data.short || data.name;
  panel.seconds = data.seconds ?? panel.picture?.seconds ?? null;
  if (panel.group?.name !== data.group) {
    if (panel.group) leave(panel.group, panel);
    panel.group = groupOf(data.group);
    panel.group.panels.set(panel.id, panel);
    panel.group.painters.add(panel.paint);
  }
  root.classList.toggle("silent", data.silent);
  panel.root.style.setProperty("--height", `${data.height}px`);
  window.addEventListener("ravel-sound", panel.load);
  panel.drawn = null; // the colours may be others
  load(panel);
  changed(panel.group);
  return () => {
    window.removeEventListener("ravel-sound", panel.load);
    setTimeout(() => { if (!root.isConnected) { panel.sizes.disconnect(); leave(panel.group, panel); } }, 300);
  };
}

function part(panel, kind) { return window.ravelSounds?.get(`${kind} ${panel.id}`) ?? null; }

// Take what has come for the panel: the sound and its picture come in messages of their own.
async function load(panel) {
  panel.root.classList.toggle("waits", Boolean(part(panel, "wait")));
  await Promise.all([loadSound(panel), loadPicture(panel)]).catch((problem) => {
    panel.readout.textContent = "This sound is no longer there: reload the page.";
    console.error(problem);
  });
}

async function loadSound(panel) {
  const given = part(panel, "sound");
  if (given?.url !== panel.url) {
    panel.url = given?.url;
    panel.loading = decode(panel, given);
  }
  await panel.loading;
  if (given?.autoplay && given !== panel.started && given.url === panel.source) {
    panel.started = given;
    panel.group.at = 0;
    play(panel.group, panel.id);
  }
}

async function decode(panel, given) {
  const file = given && await (await fetched(given.url)).arrayBuffer();
  const buffer = file && await audio().decodeAudioData(file);
  if (given?.url !== panel.url) return; // another one has come meanwhile
  Object.assign(panel, { buffer, source: given?.url ?? "" });
  if (!buffer) hush(panel);
  replaced(panel.group, panel);
  panel.root.dispatchEvent(new Event("loadedmetadata"));
}

async function loadPicture(panel) {
  const given = part(panel, "picture");
  if (given === panel.given) return;
  panel.given = given;
  const found = given && { ...given, cells: given.url === panel.picture?.url ? panel.picture.cells : await cells(given) };
  if (given !== panel.given) return;
  panel.picture = found;
  panel.seconds = found?.seconds ?? panel.seconds;
  panel.drawn = null;
  changed(panel.group);
  look(panel.group, shown(panel.group)); // the axes are shared
}

// -- the elements ----------------------------------------------------------------------------------

function build(panel, look) {
  const { root } = panel;
  panel.axes = look === "full";
  root.classList.add(look);
  panel.canvas = element("canvas");
  panel.canvas.ariaHidden = "true";
  panel.selected = element("div", { className: "selected" });
  panel.playhead = element("div", { className: "playhead" });
  panel.plot = element("div", { className: "plot" }, [panel.selected, panel.playhead]);
  panel.stage = element("div", { className: "stage" }, [panel.canvas, panel.plot]);
  panel.button = element("button", { type: "button", className: "play", tabIndex: -1 });
  panel.clock = element("span", { className: "clock" });
  panel.readout = element("span", { className: "readout" });
  root.replaceChildren(panel.stage, element("div", { className: "foot" },
    [panel.button, panel.clock, panel.readout]));
  panel.button.addEventListener("click", () => toggle(panel.group, panel.id));
  panel.stage.addEventListener("keydown", (event) => pressed(panel, event));
  panel.stage.addEventListener("focus", () => { if (!panel.group.playing) choose(panel.group, panel.id); });
  pointing(panel);
  panel.sizes = new ResizeObserver(() => draw(panel));
  panel.sizes.observe(panel.canvas);
  // As a player of the browser's own: for scripts.
  const get = (name, get) => Object.defineProperty(root, name, { get, configurable: true });
  get("duration", () => panel.buffer?.duration ?? NaN);
  get("currentSrc", () => (panel.source ? address(panel.source) : ""));
  get("currentTime", () => position(panel.group));
  get("paused", () => !(panel.group.playing && panel.group.active === panel.id));
  root.play = () => play(panel.group, panel.id);
  root.pause = () => pause(panel.group);
}

function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// -- painting --------------------------------------------------------------------------------------

function paint(panel, what) {
  if (what !== "clock") {
    if (what === "view" || !panel.drawn) draw(panel);
    state(panel);
  }
  const { group } = panel, at = position(group), [first, last] = shown(group), width = last - first;
  const share = (time) => (100 * (time - first)) / width;
  panel.playhead.style.display = panel.buffer && at >= first && at <= last ? "" : "none";
  panel.playhead.style.left = `${share(at)}%`;
  panel.clock.textContent = panel.buffer ? `${at.toFixed(1)} / ${panel.buffer.duration.toFixed(1)} s` : "";
  if (!panel.buffer) return;
  const words = spoken(panel, at); // once a second while it plays
  if (what !== "clock" || Math.abs(at - (panel.saidAt ?? -9)) >= 1) {
    panel.saidAt = at;
    Object.assign(panel.stage, { ariaValueNow: at.toFixed(2), ariaValueText: words });
  }
}

function spoken({ group, id, buffer }, at) {
  const plays = group.playing && group.active === id ? ", playing" : "";
  const part = group.selection ? `, selected ${group.selection.map((one) => one.toFixed(1)).join(" to ")} s` : "";
  return `${at.toFixed(1)} of ${buffer.duration.toFixed(1)} s${plays}${part}`;
}

function state(panel) {
  const { group, root, stage, button, buffer } = panel, plays = group.playing && group.active === panel.id;
  const first = activeOf(group) ?? panel;
  root.classList.toggle("active", group.panels.size > 1 && group.active === panel.id);
  root.classList.toggle("player", Boolean(buffer));
  root.classList.toggle("plays", plays);
  stage.role = buffer ? "slider" : "img";
  stage.ariaLabel = `${panel.name}: ${panel.picture ? "log-mel spectrogram" : "waveform"}${buffer ? " and player" : ""}`;
  stage.ariaDescription = buffer ? HELP : null;
  for (const name of ["ariaValueMin", "ariaValueMax", "ariaValueNow", "ariaValueText"])
    if (!buffer) stage[name] = null;
  if (buffer) Object.assign(stage, { ariaValueMin: "0", ariaValueMax: buffer.duration.toFixed(2) });
  if (buffer) stage.tabIndex = first === panel ? 0 : -1;
  else stage.removeAttribute("tabindex");
  button.disabled = !buffer;
  button.className = plays ? "play pause" : "play";
  button.ariaLabel = `${plays ? "Pause" : "Play"} ${panel.name}`;
  button.title = plays ? "Pause" : "Play";
  const [from, to] = shown(group), { selection } = group, share = (time) => (time - from) / (to - from);
  panel.selected.style.display = selection && buffer ? "" : "none";
  if (!selection) return;
  const left = Math.max(0, share(selection[0])), right = Math.min(1, share(selection[1]));
  Object.assign(panel.selected.style, { left: `${100 * left}%`, width: `${100 * Math.max(0, right - left)}%` });
}

function draw(panel) {
  const { canvas, picture, buffer, root, group } = panel;
  if (!group || !canvas.clientWidth) return;
  const { pen, box } = paper(canvas, panel.axes), span = shown(group);
  if (picture) {
    panel.drawn ??= spectrogram(picture, root);
    lay(pen, box, panel.drawn, picture.hop, span);
    if (picture.pitch) contour(pen, box, root, picture, span);
  } else if (buffer && !panel.axes) waveform(pen, box, root, buffer, span);
  if (!panel.axes) return;
  axes(pen, box, root, picture, span);
  if (picture) scale(pen, box, sequential(root), ["0 dB", `−${RANGE / 2}`, `−${RANGE}`]);
}
