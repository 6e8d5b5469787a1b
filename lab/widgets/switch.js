// Sounds of one length behind letters: from one to the other without a break, in the same place.

const switches = new WeakMap();

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".switch");
  let state = switches.get(root);
  if (!state) {
    state = { loop: true };
    state.press = (event) => press(state, event);
    switches.set(root, state);
  }
  const shape = data.tracks.map(([letter, wav]) => letter + wav).join();
  if (shape !== state.shape) {
    release(state);
    state.shape = shape;
    build(root, state, data.tracks);
  }
  document.addEventListener("keydown", state.press); // added once, however often this is called
  return () => document.removeEventListener("keydown", state.press);
}

function press(state, event) {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
  const track = state.tracks[Number(event.key) - 1];
  if (!track || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  toggle(state, track);
}

function build(root, state, tracks) {
  const keys = element("div", "keys"), line = element("div", "track");
  state.gone = element("div", "gone");
  line.append(state.gone);
  state.tracks = tracks.map(([letter, wav], i) => {
    const bytes = Uint8Array.from(atob(wav), (c) => c.charCodeAt(0));
    const player = new Audio(URL.createObjectURL(new Blob([bytes], { type: "audio/wav" })));
    player.preload = "auto";
    player.loop = state.loop;
    const node = element("button", ""), hint = element("span", "hint", `key ${i + 1}`);
    node.type = "button";
    node.append(element("span", "letter", letter), hint);
    node.setAttribute("aria-label", `Play ${letter}`);
    const track = { player, node, hint, idle: hint.textContent };
    node.addEventListener("click", () => toggle(state, track));
    for (const kind of ["play", "pause", "ended", "timeupdate"])
      player.addEventListener(kind, () => paint(state));
    keys.append(node);
    return track;
  });
  root.replaceChildren(keys, line, looping(state), ...state.tracks.map(({ player }) => player));
}

function looping(state) {
  const label = element("label", ""), box = element("input", "");
  box.type = "checkbox";
  box.checked = state.loop;
  box.addEventListener("change", () => {
    state.loop = box.checked;
    state.tracks.forEach(({ player }) => { player.loop = box.checked; });
  });
  label.append(box, "Repeat until stopped");
  return label;
}

function toggle(state, track) {
  const before = state.tracks.find(({ player }) => !player.paused);
  before?.player.pause();
  if (before === track) return paint(state);
  track.player.currentTime = before ? before.player.currentTime : 0;
  track.player.play().catch(() => {}); // stopped before it began
}

function paint(state) {
  const now = state.tracks.find(({ player }) => !player.paused);
  for (const track of state.tracks) {
    track.node.classList.toggle("plays", track === now);
    track.node.setAttribute("aria-pressed", track === now);
    track.hint.textContent = track === now ? "playing" : track.idle;
  }
  const part = now?.player.duration ? now.player.currentTime / now.player.duration : 0;
  state.gone.style.width = `${100 * part}%`;
}

function release(state) {
  for (const { player } of state.tracks ?? []) {
    player.pause();
    URL.revokeObjectURL(player.src);
  }
}

function element(tag, name, text = "") {
  const node = document.createElement(tag);
  node.className = name;
  node.textContent = text;
  return node;
}
