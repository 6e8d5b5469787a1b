// The bar of a group: play, which sound is audible, loop, zoom, and the difference of two pictures.

const LIMIT = 30; // dB of a difference at the ends of its colours
const NOTE = `in dB, from −${LIMIT} to +${LIMIT}. What is more than ${RANGE} dB below the loudest counts as that.`;

function bar(root, data) {
  let desk = panels.get(root);
  if (!desk) {
    desk = { root, open: false, chosen: [] };
    panels.set(root, desk);
    desk.paint = (what) => paintBar(desk, what);
    buildBar(desk);
  }
  if (desk.group?.name !== data.group) {
    desk.group?.painters.delete(desk.paint);
    desk.group = groupOf(data.group);
    desk.group.painters.add(desk.paint);
  }
  desk.wanted = data.difference ?? [];
  desk.shape = desk.compared = null; // the colours may be others
  changed(desk.group);
  return () => setTimeout(() => {
    if (root.isConnected) return;
    desk.sizes.disconnect();
    desk.group.painters.delete(desk.paint);
    if (!desk.group.painters.size) groups.delete(desk.group.name);
  }, 300);
}

function buildBar(desk) {
  const tool = (text, label, does) => {
    const node = element("button", { type: "button", textContent: text, ariaLabel: label, title: label });
    node.addEventListener("click", does);
    return node;
  };
  desk.play = tool("", "Play", () => toggle(desk.group));
  desk.clock = element("span", { className: "clock" });
  desk.chips = element("div", { className: "chips", role: "group", ariaLabel: "Sound to listen to" });
  desk.loop = tool("Loop", "Loop the selection, or everything", () => setLoop(desk.group, !desk.group.loop));
  desk.out = tool("−", "Zoom out", () => zoom(desk.group, 2));
  desk.in = tool("+", "Zoom in", () => zoom(desk.group, 0.5));
  desk.all = tool("All", "Show all", () => look(desk.group, [0, Infinity]));
  desk.differ = tool("Difference", "Difference of two pictures", () => { desk.open = !desk.open; changed(desk.group); });
  const zooms = element("div", { className: "zooms", role: "group", ariaLabel: "Zoom" }, [desk.out, desk.in, desk.all]);
  desk.tools = element("div", { className: "tools", role: "toolbar", ariaLabel: "Listen and compare" },
    [desk.play, desk.clock, desk.chips, zooms, desk.loop, desk.differ]);
  desk.tools.addEventListener("keydown", (event) => roved(desk, event));
  desk.tools.addEventListener("focusin", ({ target }) => rove(desk, target.closest("button")));
  buildDifference(desk);
  desk.root.replaceChildren(desk.tools, desk.section);
}

// One Tab stop; the arrow keys go from button to button.
function rove(desk, node) {
  desk.tools.querySelectorAll("button").forEach((each) => { each.tabIndex = each === node ? 0 : -1; });
}

function roved(desk, event) {
  const nodes = [...desk.tools.querySelectorAll("button:not(:disabled)")], at = nodes.indexOf(event.target);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: nodes.length - 1 }[event.key];
  if (event.key === "Escape" && desk.group.selection) select(desk.group, null);
  else if (to === undefined || !nodes[to]) return;
  else nodes[to].focus();
  event.preventDefault();
}

function paintBar(desk, what) {
  const { group } = desk, sounds = playable(group), now = activeOf(group);
  const length = now?.buffer?.duration ?? 0;
  desk.clock.textContent = `${position(group).toFixed(1)} / ${length.toFixed(1)} s`;
  if (what === "clock") return playheadOf(desk);
  desk.play.className = group.playing ? "play pause" : "play";
  desk.play.ariaLabel = desk.play.title = group.playing ? "Pause" : "Play";
  desk.play.disabled = !sounds.length;
  chips(desk, sounds);
  desk.loop.ariaPressed = group.loop;
  desk.out.disabled = desk.all.disabled = !group.view;
  const pictures = inOrder(group).filter(({ picture }) => picture);
  desk.differ.disabled = pictures.length < 2;
  desk.differ.ariaExpanded = desk.open && pictures.length > 1;
  if (!desk.tools.querySelector("button[tabindex='0']:not(:disabled)")) rove(desk, desk.tools.querySelector("button:not(:disabled)"));
  desk.section.hidden = !desk.open || pictures.length < 2;
  if (!desk.section.hidden) difference(desk, pictures, what);
}

function chips(desk, sounds) {
  const shape = JSON.stringify(sounds.map(({ id, short }) => [id, short]));
  if (shape !== desk.shape) {
    desk.shape = shape;
    desk.chips.replaceChildren(...sounds.map((panel, i) => {
      const node = element("button", { type: "button", tabIndex: -1, title: panel.name });
      node.append(element("span", { className: "number", textContent: i + 1 }), panel.short);
      node.dataset.id = panel.id;
      node.addEventListener("click", () => toggle(desk.group, panel.id));
      return node;
    }));
  }
  const now = activeOf(desk.group)?.id;
  for (const node of desk.chips.children) node.ariaPressed = node.dataset.id === now;
}

// -- the difference --------------------------------------------------------------------------------

function buildDifference(desk) {
  const list = (label) => {
    const node = element("select", { ariaLabel: label });
    node.addEventListener("change", () => { desk.chosen = desk.lists.map(({ value }) => value); changed(desk.group); });
    return node;
  };
  desk.lists = [list("Picture"), list("Picture to subtract")];
  desk.canvas = element("canvas");
  desk.selected = element("div", { className: "selected" });
  desk.playhead = element("div", { className: "playhead" });
  desk.plot = element("div", { className: "plot" }, [desk.selected, desk.playhead]);
  desk.plot.addEventListener("click", ({ clientX }) => {
    const { left, width } = desk.plot.getBoundingClientRect(), [first, last] = shown(desk.group);
    seek(desk.group, first + ((last - first) * (clientX - left)) / width);
  });
  desk.stage = element("div", { className: "stage", role: "img" }, [desk.canvas, desk.plot]);
  desk.mean = element("span");
  desk.legend = element("p");
  desk.section = element("div", { className: "difference full", hidden: true }, [
    element("div", { className: "choice" }, [desk.lists[0], element("span", { textContent: "minus" }), desk.lists[1], desk.mean]),
    desk.stage, desk.legend]);
  desk.sizes = new ResizeObserver(() => { if (!desk.section.hidden) changed(desk.group); });
  desk.sizes.observe(desk.canvas);
}

function difference(desk, pictures, what) {
  const { group, lists } = desk, ids = pictures.map(({ id }) => id);
  const wanted = [0, 1].map((i) => [desk.chosen[i], desk.wanted[i]].find((id) => ids.includes(id)));
  wanted[0] ??= ids.find((id) => id !== wanted[1]);
  wanted[1] ??= ids.find((id) => id !== wanted[0]);
  lists.forEach((node, i) => {
    const shape = JSON.stringify(pictures.map(({ id, short }) => [id, short]));
    if (node.dataset.shape !== shape) {
      node.dataset.shape = shape;
      node.replaceChildren(...pictures.map(({ id, short }) => element("option", { value: id, textContent: short })));
    }
    if (node.value !== wanted[i]) node.value = wanted[i];
  });
  const two = wanted.map((id) => group.panels.get(id)), [a, b] = two.map(({ picture }) => picture);
  if (!desk.compared || desk.compared.a !== a || desk.compared.b !== b) desk.compared = compared(desk, a, b);
  const { drawn, hop, mean } = desk.compared, found = mean(group.selection);
  const { pen, box } = paper(desk.canvas, true);
  lay(pen, box, drawn, hop, shown(group));
  axes(pen, box, desk.root, a, shown(group));
  scale(pen, box, diverging(desk.root), [`+${LIMIT}`, "0 dB", `−${LIMIT}`]);
  const names = two.map(({ short }) => short);
  desk.mean.textContent = found === null ? "" :
    `${found.toFixed(1)} dB on average${group.selection ? " in the selection" : ""}`;
  desk.stage.ariaLabel = `${names[0]} minus ${names[1]}: ${desk.mean.textContent}`;
  desk.legend.textContent = `${names[0]} minus ${names[1]}, ${NOTE} The average is of absolute differences.`;
  playheadOf(desk);
}

// Both pictures over the frames that they share, each no lower than RANGE below the loudest.
function compared({ root }, a, b) {
  const hop = Math.min(a.hop, b.hop), frames = Math.floor(Math.min(a.frames * a.hop, b.frames * b.hop) / hop);
  const least = Math.max(a.loudest, b.loudest) - RANGE;
  const level = (one, frame, band) => Math.max(least,
    decibels(one, Math.min(one.frames - 1, Math.round((frame * hop) / one.hop)), band));
  const values = new Float32Array(frames * a.bands);
  for (let frame = 0; frame < frames; frame++)
    for (let band = 0; band < a.bands; band++)
      values[frame * a.bands + band] = level(a, frame, band) - level(b, frame, band);
  const drawn = image(frames, a.bands, diverging(root), (frame, band) =>
    0.5 + values[frame * a.bands + band] / (2 * LIMIT));
  const mean = (range) => {
    const [first, last] = range ? range.map((time) => Math.round(time / hop) * a.bands) : [0, values.length];
    const part = values.subarray(first, last);
    return part.length ? part.reduce((sum, one) => sum + Math.abs(one), 0) / part.length : null;
  };
  return { a, b, drawn, hop, mean };
}

function playheadOf({ group, section, plot, playhead, selected }) {
  if (section.hidden) return;
  const [first, last] = shown(group), share = (time) => Math.min(Math.max(0, (time - first) / (last - first)), 1);
  const at = position(group), { selection } = group;
  playhead.style.display = at >= first && at <= last ? "" : "none";
  playhead.style.left = `${100 * share(at)}%`;
  selected.style.display = selection ? "" : "none";
  if (!selection) return;
  const [left, right] = selection.map(share);
  Object.assign(selected.style, { left: `${100 * left}%`, width: `${100 * (right - left)}%` });
}
