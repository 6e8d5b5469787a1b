// A table of sounds. Sounds and figures come in messages of their own and are shown as they come.

const tables = new WeakMap();

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".sound-table");
  let table = tables.get(root);
  if (!table) {
    table = { player: new Audio(), buttons: [], playing: null };
    tables.set(root, table);
    table.update = () => paint(table);
    hear(table);
  }
  const { legend, ...grid } = data;
  const shape = JSON.stringify(grid);
  if (shape !== table.shape) {
    table.shape = shape;
    build(root, table, grid);
  }
  root.querySelector(".legend").replaceWith(keyOf(legend)); // what plays goes on
  window.addEventListener("ravel-table", table.update); // added once, however often this is called
  table.update();
  return () => window.removeEventListener("ravel-table", table.update);
}

function build(root, table, { rows, columns, cells, corner }) {
  table.player.pause();
  table.buttons = [];
  const head = element("tr", {}, [element("th", { className: "corner", textContent: corner }),
    ...columns.map((cell) => element("th", { scope: "col" }, [button(table, cell)]))]);
  const body = rows.map((cell, i) => element("tr", {}, [
    element("th", { scope: "row" }, [button(table, cell)]),
    ...cells[i].map((one) => element("td", { className: one.own ? "own" : "" },
      [button(table, one)]))]));
  const grid = element("table", {}, [head, ...body]);
  grid.style.setProperty("--columns", columns.length);
  grid.addEventListener("keydown", (event) => move(grid, event));
  root.replaceChildren(grid, element("div", { className: "legend" }), table.player);
}

function button(table, cell) {
  const text = element("span", { className: "text", textContent: cell.text });
  const mark = element("span", { className: "mark", textContent: "▶" });
  const node = element("button", { type: "button", disabled: true },
    [mark, text, element("span", { className: "gone" })]);
  node.addEventListener("click", () => play(table, node, cell.id));
  table.buttons.push({ node, cell, text, mark });
  return node;
}

function keyOf({ title, low, high, own }) {
  return element("div", { className: "legend" }, [element("span", { textContent: `${title}:` }),
    element("span", { textContent: low }), element("span", { className: "bar" }),
    element("span", { textContent: high }), element("span", { className: "own" }),
    element("span", { textContent: own })]);
}

function paint(table) {
  for (const { node, cell, text } of table.buttons) {
    node.disabled = !window.ravelTableSounds?.has(cell.id);
    const found = window.ravelTableFigures?.get(cell.id);
    const label = found?.label ? `${cell.label}. ${found.label}` : cell.label;
    node.title = label;
    node.setAttribute("aria-label", `Play: ${label}`);
    if (!found) continue;
    text.replaceChildren(...found.lines.map((line) => element("div", { textContent: line })));
    node.style.setProperty("--share", found.share ?? 0);
  }
}

function play(table, node, id) {
  const { player } = table;
  if (table.playing === node && !player.paused) return player.pause();
  table.playing = node;
  player.src = window.ravelTableSounds.get(id);
  player.play().catch(() => {}); // stopped before it began
}

// The playing button shows that it plays, and how far it is.
function hear(table) {
  const { player } = table;
  const show = () => table.buttons.forEach(({ node, mark }) => {
    const plays = node === table.playing && !player.paused && !player.ended;
    node.classList.toggle("plays", plays);
    node.setAttribute("aria-pressed", plays);
    mark.textContent = plays ? "■" : "▶";
    const gone = plays && player.duration ? player.currentTime / player.duration : 0;
    node.querySelector(".gone").style.width = `${100 * gone}%`;
  });
  ["play", "pause", "ended", "timeupdate"].forEach((kind) => player.addEventListener(kind, show));
}

// Arrow keys go from cell to cell.
function move(grid, event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const place = event.target.closest("th, td");
  if (!step[event.key] || !place) return;
  const [down, right] = step[event.key];
  const row = grid.rows[place.parentElement.rowIndex + down];
  row?.cells[place.cellIndex + right]?.querySelector("button")?.focus();
  event.preventDefault();
}

function element(tag, properties, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
