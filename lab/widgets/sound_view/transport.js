// Sounds on one clock. The sounds of a group start together and one of them is audible: to switch
// moves two gains, so the position is kept and there is no gap. Nothing changes a sound's level.

const groups = new Map(); // by name
const GLIDE = 0.004; // seconds in which a gain follows: no clicks
const AHEAD = 0.02; // seconds from a start to the first sample
const SHORTEST = 0.03; // seconds of a selection
const CLOSEST = 0.2; // seconds of the nearest view
let context = null;

function audio() { return (context ??= new AudioContext()); }

function groupOf(name) {
  if (!groups.has(name)) groups.set(name, {
    name, panels: new Map(), painters: new Set(), active: null, at: 0,
    selection: null, loop: false, loopBefore: false, view: null, playing: false,
  });
  return groups.get(name);
}

function leave(group, panel) {
  hush(panel);
  group.panels.delete(panel.id);
  group.painters.delete(panel.paint);
  if (group.active === panel.id) { pause(group); group.active = null; }
  if (!group.painters.size) groups.delete(group.name);
  else changed(group);
}

// The panels of a group from the top of the page.
function inOrder(group) {
  return [...group.panels.values()].sort((a, b) =>
    (a.root.compareDocumentPosition(b.root) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
}

function playable(group) { return inOrder(group).filter(({ buffer }) => buffer); }

function activeOf(group) {
  const now = group.panels.get(group.active);
  return now?.buffer ? now : playable(group)[0] ?? now;
}

function most(values) { return Math.max(0, ...values); }

function longest(group) {
  return most([...group.panels.values()].map(({ buffer }) => buffer?.duration ?? 0));
}

// What the time axes show: the zoomed part, or the longest picture.
function whole(group) {
  const spans = [...group.panels.values()].map(({ seconds }) => seconds ?? 0);
  return most(spans) || longest(group) || 1;
}

function shown(group) { return group.view ?? [0, whole(group)]; }

// -- playing ---------------------------------------------------------------------------------------

function position(group) {
  if (!group.playing) return group.at;
  const gone = Math.max(group.from, context.currentTime - group.began), [first, last] = group.bounds;
  if (gone < last) return gone;
  return group.loops ? first + (gone - first) % (last - first) : last;
}

async function play(group, id = activeOf(group)?.id) {
  document.dispatchEvent(new CustomEvent("ravel-play", { detail: group }));
  document.querySelectorAll("audio").forEach((player) => player.pause());
  choose(group, id);
  if (group.playing) return;
  await audio().resume();
  if (!group.playing && activeOf(group)?.buffer) start(group, group.at);
}

function start(group, at) {
  const [first, last] = (group.bounds = group.selection ?? [0, longest(group)]);
  const outside = at < first || at >= last - 0.01 || (!group.loop && at >= end(group) - 0.01);
  group.from = outside ? first : at;
  group.loops = group.loop;
  const when = audio().currentTime + AHEAD;
  group.began = when - group.from;
  group.playing = true;
  group.active = activeOf(group).id;
  group.panels.forEach((panel) => sound(group, panel, when, group.from));
  changed(group);
  follow(group);
}

function sound(group, panel, when, from) {
  if (!panel.buffer) return;
  const [loopStart, loopEnd] = group.bounds;
  const buffer = padded(panel, longest(group));
  const source = new AudioBufferSourceNode(context, { buffer, loop: group.loops, loopStart, loopEnd });
  const gain = new GainNode(context, { gain: panel.id === group.active ? 1 : 0 });
  source.connect(gain).connect(context.destination);
  source.start(when, from, ...(group.loops ? [] : [loopEnd - from]));
  panel.voice = { source, gain };
  source.onended = () => { // in a tab that is not looked at nothing follows the clock
    gain.disconnect();
    if (panel.voice?.source === source && panel.id === group.active && group.playing) finish(group);
  };
}

// Loops of one length need buffers of one length.
function padded(panel, seconds) {
  const { buffer } = panel, length = Math.round(seconds * buffer.sampleRate);
  if (length <= buffer.length) return buffer;
  if (panel.padded?.length !== length || panel.padded.of !== buffer) {
    const { numberOfChannels, sampleRate } = buffer;
    panel.padded = new AudioBuffer({ length, numberOfChannels, sampleRate });
    panel.padded.of = buffer;
    for (let i = 0; i < numberOfChannels; i++) panel.padded.copyToChannel(buffer.getChannelData(i), i);
  }
  return panel.padded;
}

function hush(panel) {
  if (!panel.voice) return;
  const { source, gain } = panel.voice, now = context.currentTime;
  panel.voice = null;
  gain.gain.setTargetAtTime(0, now, GLIDE);
  source.stop(now + 6 * GLIDE);
}

function pause(group, at = position(group)) {
  if (!group.playing) return;
  group.at = at;
  group.playing = false;
  group.panels.forEach(hush);
  changed(group);
}

function toggle(group, id = activeOf(group)?.id) {
  if (group.playing && id === group.active) pause(group);
  else play(group, id);
}

// Where the audible sound ends: at the selection's end, else at its own.
function end(group) {
  const own = activeOf(group)?.buffer?.duration ?? 0;
  return group.selection ? group.selection[1] : own;
}

function follow(group) {
  if (!group.playing) return;
  const at = position(group);
  if (!group.loops && at >= Math.min(end(group), group.bounds[1])) {
    return finish(group);
  }
  const [first, last] = shown(group), width = last - first;
  if (group.view && (at < first || at > last)) look(group, [at - width * 0.05, at + width * 0.95]);
  group.painters.forEach((paint) => paint("clock"));
  requestAnimationFrame(() => follow(group));
}

// It stays at its end, and starts from the beginning the next time.
function finish(group) {
  pause(group);
  activeOf(group)?.root.dispatchEvent(new Event("ended", { bubbles: true }));
}

function again(group) { // with other bounds, from where it is
  if (!group.playing) return changed(group);
  const at = position(group);
  group.panels.forEach(hush);
  group.playing = false;
  start(group, at);
}

// -- what can be changed while it plays ------------------------------------------------------------

function choose(group, id) {
  if (!group.panels.has(id) || id === group.active) return;
  group.active = id;
  for (const { id: each, voice } of group.panels.values())
    voice?.gain.gain.setTargetAtTime(each === id ? 1 : 0, context.currentTime, GLIDE);
  changed(group);
}

// A panel has another sound: it takes over where the one before has come to.
function replaced(group, panel) {
  const all = longest(group), { selection } = group;
  if (all && selection && selection[1] > all) // of a longer sound
    select(group, all - selection[0] >= SHORTEST ? [selection[0], all] : null, Math.min(position(group), all));
  if (!group.playing) return changed(group);
  if (!group.selection && Math.abs(longest(group) - group.bounds[1]) > 1e-4) return again(group);
  hush(panel);
  const when = context.currentTime + AHEAD, at = position(group) + AHEAD;
  const [first, last] = group.bounds;
  sound(group, panel, when, at < last ? at : group.loops ? first + (at - last) : last);
  changed(group);
}

function seek(group, to) {
  group.at = Math.min(Math.max(0, to), longest(group) || whole(group));
  const { selection } = group;
  if (selection && (to < selection[0] || to > selection[1])) return select(group, null, group.at);
  if (group.at >= end(group) - 0.01) pause(group, group.at);
  if (!group.playing) return changed(group);
  group.panels.forEach(hush);
  group.playing = false;
  start(group, group.at);
}

// Select a part, which is looped, or nothing; then go on at `at`.
function select(group, range, at = position(group)) {
  const had = group.selection;
  group.selection = range && range[1] - range[0] >= SHORTEST ? range : null;
  if (group.selection && !had) { group.loopBefore = group.loop; group.loop = true; }
  if (!group.selection && had) group.loop = group.loopBefore;
  if (group.selection && (at < range[0] || at >= range[1])) at = range[0];
  if (!group.playing) { group.at = at; return changed(group); }
  group.panels.forEach(hush);
  group.playing = false;
  start(group, at);
}

function setLoop(group, loop) {
  group.loop = loop;
  if (!group.selection) group.loopBefore = loop;
  again(group);
}

function look(group, [first, last]) {
  const all = whole(group), width = Math.min(all, Math.max(CLOSEST, last - first));
  const begin = Math.min(Math.max(0, first), all - width);
  group.view = width >= all - 1e-6 ? null : [begin, begin + width];
  group.painters.forEach((paint) => paint("view"));
}

// Show `factor` times as much, with `at` in its place.
function zoom(group, factor, at = null) {
  const [first, last] = shown(group);
  const fixed = at ?? (group.selection ? (group.selection[0] + group.selection[1]) / 2 : position(group));
  const still = Math.min(Math.max(fixed, first), last), width = Math.max(CLOSEST, (last - first) * factor);
  const begin = still - (width * (still - first)) / (last - first);
  look(group, [begin, begin + width]);
}

function changed(group) { group.painters.forEach((paint) => paint("state")); }

const others = (mine) => groups.forEach((group) => { if (group !== mine) pause(group); });
document.addEventListener("ravel-play", ({ detail }) => others(detail));
document.addEventListener("play", ({ target }) => {
  if (target instanceof HTMLMediaElement) others(null);
}, true);
