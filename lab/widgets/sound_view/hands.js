// Keys and pointers of a panel.

function pressed(panel, event) {
  const { group } = panel, at = position(group), [first, last] = shown(group);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
  const by = step && (step * Math.max(0.05, Math.round((last - first) * 4) / 200));
  const listed = playable(group), here = listed.indexOf(panel);
  const other = { ArrowUp: here - 1, ArrowDown: here + 1 }[event.key] ?? Number(event.key) - 1;
  const does = {
    " ": () => toggle(group, panel.id), Home: () => seek(group, 0), End: () => seek(group, Infinity),
    Escape: () => (group.selection ? select(group, null) : look(group, [0, Infinity])),
    l: () => setLoop(group, !group.loop), "+": () => zoom(group, 0.5), "=": () => zoom(group, 0.5),
    "-": () => zoom(group, 2), 0: () => look(group, [0, Infinity]),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (by && event.shiftKey) extend(group, at, by);
  else if (by) seek(group, at + by);
  else if (does) does();
  else if (listed[other]) { choose(group, listed[other].id); listed[other].stage.focus(); }
  else if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  event.preventDefault();
  event.stopPropagation(); // Streamlit has keys of its own
}

// Move the end of the selection that the keys began at the playhead.
function extend(group, at, by) {
  const { selection } = group;
  const fixed = !selection ? at : selection.includes(group.fixed) ? group.fixed : selection[0];
  const moving = !selection ? at : selection[0] === fixed ? selection[1] : selection[0];
  const to = Math.min(Math.max(0, moving + by), longest(group));
  group.fixed = fixed;
  select(group, [fixed, to].sort((a, b) => a - b));
}

function pointing(panel) {
  const { plot } = panel, down = new Map(); // fingers or a mouse, by id
  let drag = null;
  const time = ({ clientX }) => {
    const { left, width } = plot.getBoundingClientRect(), [first, last] = shown(panel.group);
    return Math.min(Math.max(first, first + ((last - first) * (clientX - left)) / width), last);
  };
  plot.addEventListener("pointerdown", (event) => {
    if (event.button || !panel.buffer) return;
    down.set(event.pointerId, event);
    if (down.size === 2) { drag = { pinch: gap(down), span: shown(panel.group) }; return; }
    plot.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, from: anchor(panel, event, time(event)), moved: false };
  });
  plot.addEventListener("pointermove", (event) => {
    if (down.has(event.pointerId)) down.set(event.pointerId, event);
    if (!drag) return hover(panel, event, time(event));
    if (drag.pinch) return pinched(panel, drag, down, plot);
    if (!drag.moved && Math.abs(event.clientX - drag.x) < 5) return;
    drag.moved = true;
    drag.range = [drag.from, Math.min(time(event), longest(panel.group))].sort((a, b) => a - b);
    preview(panel.group, drag.range);
  });
  const done = (event) => {
    const { group } = panel, was = drag;
    down.delete(event.pointerId);
    if (down.size) return;
    drag = null;
    if (!was || was.pinch) return;
    panel.stage.focus({ preventScroll: true });
    if (event.type === "pointercancel") return changed(group); // the page is scrolled
    choose(group, panel.id);
    if (was.moved) { group.fixed = was.from; select(group, was.range, group.playing ? position(group) : was.range[0]); }
    else seek(group, time(event));
  };
  plot.addEventListener("pointerup", done);
  plot.addEventListener("pointercancel", done);
  plot.addEventListener("pointerleave", () => { panel.readout.textContent = ""; });
  plot.addEventListener("wheel", (event) => {
    const [first, last] = shown(panel.group), sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (event.ctrlKey) zoom(panel.group, Math.exp(event.deltaY / 200), time(event));
    else if (sideways && panel.group.view) {
      const by = ((last - first) * event.deltaX) / plot.clientWidth;
      look(panel.group, [first + by, last + by]);
    } else return;
    event.preventDefault();
  }, { passive: false });
}

// Where a drag holds on: the other end of the selection if it takes one of its edges.
function anchor({ group, plot }, event, at) {
  const [first, last] = shown(group), { selection } = group;
  const near = ((NEAR[event.pointerType] ?? 6) * (last - first)) / plot.clientWidth;
  if (selection && Math.abs(at - selection[0]) < near) return selection[1];
  if (selection && Math.abs(at - selection[1]) < near) return selection[0];
  return Math.min(at, longest(group));
}

function preview(group, range) { // while it is drawn, what plays goes on
  const kept = group.selection;
  group.selection = range;
  changed(group);
  group.selection = kept;
}

function gap(down) {
  const [a, b] = [...down.values()].map(({ clientX }) => clientX);
  return { width: Math.max(10, Math.abs(a - b)), middle: (a + b) / 2 };
}

function pinched(panel, { pinch, span: [first, last] }, down, plot) {
  const now = gap(down), { left, width } = plot.getBoundingClientRect();
  const wide = ((last - first) * pinch.width) / now.width;
  const held = first + ((last - first) * (pinch.middle - left)) / width;
  const begin = held - (wide * (now.middle - left)) / width;
  look(panel.group, [begin, begin + wide]);
}

function hover(panel, event, at) {
  const { picture, plot } = panel;
  if (!picture || event.pointerType === "touch") return;
  const { top, height } = plot.getBoundingClientRect(), { bands, frames, hop, hertz, loudest } = picture;
  const band = Math.min(Math.max(0, Math.floor(bands * (1 - (event.clientY - top) / height))), bands - 1);
  const frame = Math.round(at / hop);
  if (frame >= frames) { panel.readout.textContent = ""; return; }
  const level = Math.round(decibels(picture, frame, band) - loudest);
  const f0 = picture.pitch?.f0[Math.round(at / picture.pitch.hop)];
  panel.readout.textContent = `${at.toFixed(2)} s, ${hertz[band]} Hz, ${minus(Math.max(level, -99))} dB` +
    (f0 ? `, pitch ${Math.round(f0)} Hz` : "");
}
