// A mixer. Channels play sample-locked through gains that follow the controls at once;
// Python is notified when a control comes to rest, and renders the same remix for the picture and file.

const desks = new WeakMap();
const GLIDE = 0.015; // seconds in which a gain follows: no clicks

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".mixer");
  const desk = desks.get(parentElement) ?? { offset: 0, repeat: false, sources: [] };
  desks.set(parentElement, desk);
  desk.report = () => {
    clearTimeout(desk.timer); // a slider moves in many small steps
    desk.timer = setTimeout(() => setStateValue("levels", written(desk.strips)), 150);
  };
  const shape = JSON.stringify([data.token, data.tracks.map(({ name }) => name)]);
  if (shape !== desk.shape) {
    if (desk.token !== data.token) {
      stop(desk);
      desk.offset = 0;
      desk.strips = data.strips.map((strip) => ({ ...strip }));
    }
    Object.assign(desk, { shape, token: data.token });
    build(root, desk, data);
  }
  const ids = data.tracks.map(({ id }) => id);
  if (String(ids) !== String(desk.ids)) load(desk, ids);
  // Kept, so that each is added once, however often this is called.
  desk.others ??= (event) => { if (event.target instanceof HTMLMediaElement) stop(desk); };
  desk.groups ??= ({ detail }) => { if (detail !== desk) stop(desk); }; // a sound view starts
  document.addEventListener("play", desk.others, true);
  document.addEventListener("ravel-play", desk.groups);
  return () => {
    document.removeEventListener("play", desk.others, true);
    document.removeEventListener("ravel-play", desk.groups);
    setTimeout(() => { if (!root.isConnected) close(desk); }, 500); // else it is only drawn anew
  };
}

// The sounds of other channels, of another snapshot say, take over where these have come to.
async function load(desk, ids) {
  desk.ids = ids;
  desk.play.disabled = true;
  const files = await Promise.all(ids.map(found));
  desk.context ??= new AudioContext();
  const buffers = await Promise.all(files.map((file) => desk.context.decodeAudioData(file)));
  if (desk.ids !== ids) return;
  const playing = desk.sources.length > 0;
  stop(desk);
  desk.buffers = buffers;
  desk.play.disabled = false;
  if (playing) start(desk);
  paint(desk);
}

async function found(id) {
  while (!window.ravelTableSounds?.has(id)) await new Promise((then) => setTimeout(then, 50));
  return (await fetch(window.ravelTableSounds.get(id))).arrayBuffer();
}

async function start(desk) {
  document.querySelectorAll("audio").forEach((player) => player.pause());
  document.dispatchEvent(new CustomEvent("ravel-play", { detail: desk }));
  await desk.context.resume();
  if (desk.sources.length) return;
  if (desk.offset >= length(desk) - 0.01) desk.offset = 0;
  const { context } = desk, when = context.currentTime + 0.02;
  desk.began = when - desk.offset;
  desk.gains = audible(desk.strips).map((gain) => new GainNode(context, { gain }));
  desk.sources = desk.buffers.map((buffer, i) => {
    const source = new AudioBufferSourceNode(context, { buffer, loop: desk.repeat });
    source.connect(desk.gains[i]).connect(context.destination);
    source.start(when, desk.offset);
    return source;
  });
  desk.sources[0].onended = () => { stop(desk); desk.offset = 0; paint(desk); };
  follow(desk);
}

function stop(desk) {
  if (!desk.sources.length) return;
  desk.offset = position(desk);
  desk.sources[0].onended = null;
  desk.sources.forEach((source) => source.stop());
  desk.gains.forEach((gain) => gain.disconnect());
  desk.sources = [];
  paint(desk);
}

function close(desk) {
  clearTimeout(desk.timer);
  stop(desk);
  desk.context?.close();
}

function length(desk) { return desk.buffers?.[0]?.duration ?? 0; }

function position(desk) {
  if (!desk.sources.length) return desk.offset;
  const gone = Math.max(0, desk.context.currentTime - desk.began);
  return desk.repeat ? gone % length(desk) : Math.min(gone, length(desk));
}

function follow(desk) {
  paint(desk);
  if (desk.sources.length) requestAnimationFrame(() => follow(desk));
}

// What core's remix multiplies each channel by.
function audible(strips) {
  const alone = strips.some(({ solo }) => solo);
  return strips.map(({ level, mute, solo }) =>
    (mute || (alone && !solo) ? 0 : 10 ** (level / 20)));
}

function written(strips) {
  const words = strips.map(({ level, mute, solo }) => (mute ? "m" : "") + (solo ? "s" : "") + level);
  return words.every((word) => word === "0") ? "" : words.join();
}

function apply(desk) {
  const gains = audible(desk.strips);
  if (desk.sources.length) desk.gains.forEach((node, i) =>
    node.gain.setTargetAtTime(gains[i], desk.context.currentTime, GLIDE));
  paint(desk);
  desk.report();
}

function build(root, desk, { tracks, lowest, highest, step }) {
  desk.play = element("button", { type: "button", className: "play", disabled: !desk.buffers });
  desk.play.addEventListener("click", () => (desk.sources.length ? stop(desk) : start(desk)));
  desk.seek = element("input", { type: "range", min: 0, max: 1000, value: 0, ariaLabel: "Position" });
  desk.seek.addEventListener("input", () => seek(desk, (desk.seek.value / 1000) * length(desk)));
  desk.clock = element("output");
  desk.rows = tracks.map(({ name }, i) => strip(desk, i, name, { min: lowest, max: highest, step }));
  root.replaceChildren(element("div", { className: "transport" }, [desk.play, desk.seek, desk.clock]),
    ...desk.rows.map(({ node }) => node), foot(desk));
  paint(desk);
}

function strip(desk, i, name, range) {
  const toggle = (key, letter, readout) => {
    const node = element("button", { type: "button", className: "toggle", textContent: letter,
      title: readout, ariaLabel: `${readout} ${name}` });
    node.addEventListener("click", () => { desk.strips[i][key] = !desk.strips[i][key]; apply(desk); });
    return node;
  };
  const mute = toggle("mute", "M", "Mute"), solo = toggle("solo", "S", "Solo");
  const level = element("input", { type: "range", ...range, ariaLabel: `Level of ${name} in dB`,
    title: "Double-click for 0 dB" });
  level.addEventListener("input", () => { desk.strips[i].level = Number(level.value); apply(desk); });
  level.addEventListener("dblclick", () => { desk.strips[i].level = 0; apply(desk); });
  const readout = element("output"), label = element("span", { className: "name", textContent: name, title: name });
  return { mute, solo, level, readout, node: element("div", { className: "strip" }, [label, mute, solo, level, readout]) };
}

function foot(desk) {
  const box = element("input", { type: "checkbox", checked: desk.repeat });
  box.addEventListener("change", () => {
    const playing = desk.sources.length > 0;
    stop(desk);
    desk.repeat = box.checked;
    if (playing) start(desk);
  });
  desk.reset = element("button", { type: "button", textContent: "Reset" });
  desk.reset.addEventListener("click", () => {
    desk.strips = desk.strips.map(() => ({ level: 0, mute: false, solo: false }));
    apply(desk);
  });
  return element("div", { className: "foot" },
    [element("label", {}, [box, "Repeat until stopped"]), desk.reset]);
}

function seek(desk, to) {
  const playing = desk.sources.length > 0;
  stop(desk);
  desk.offset = to;
  if (playing) start(desk);
  paint(desk);
}

function paint(desk) {
  const gains = audible(desk.strips), at = position(desk), playing = desk.sources.length > 0;
  desk.play.textContent = playing ? "Pause" : "Play";
  desk.play.ariaLabel = playing ? "Pause the remix" : "Play the remix";
  desk.seek.value = length(desk) ? (1000 * at) / length(desk) : 0;
  desk.seek.ariaValueText = `${at.toFixed(1)} s`;
  desk.clock.textContent = `${at.toFixed(1)} / ${length(desk).toFixed(1)} s`;
  desk.reset.disabled = !written(desk.strips);
  desk.rows.forEach(({ mute, solo, level, readout, node }, i) => {
    const { level: decibels, ...flags } = desk.strips[i];
    mute.ariaPressed = flags.mute;
    solo.ariaPressed = flags.solo;
    if (Number(level.value) !== decibels) level.value = decibels;
    node.classList.toggle("off", !gains[i]);
    const figure = `${decibels > 0 ? "+" : decibels < 0 ? "−" : ""}${Math.abs(decibels).toFixed(1)} dB`;
    readout.textContent = gains[i] ? figure : "off";
    level.ariaValueText = figure;
  });
}

function element(tag, properties = {}, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
