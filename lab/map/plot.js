// Maps side by side with one selection: a click, box or lasso on one marks the same points on all.

const PALETTE = ["#D9541E", "#1F7F89", "#7A68B8", "#B5890F", "#C2477F", "#3E8F4B", "#3C78C8",
  "#8C6246", "#E59BB0", "#78B84A", "#A94442", "#7F8C3A"];
const BUTTONS = { two: [["pan2d", "zoom2d", "select2d", "lasso2d", "resetScale2d"]],
  three: [["orbitRotation", "pan3d", "zoom3d", "resetCameraDefault3d"]] };
let plotly; // kept: Streamlit's own charts load another copy, which does not have our graphs
const states = new WeakMap();
const webgl = (() => {
  try { return !!document.createElement("canvas").getContext("webgl"); } catch { return false; }
})();

export default function ({ data, parentElement, setTriggerValue }) {
  const state = states.get(parentElement) ?? { graphs: [], data: null };
  states.set(parentElement, state);
  state.data = data;
  state.send = (event) => setTriggerValue("event", event);
  whenLoaded(state, () => draw(parentElement, state));
  return () => state.graphs.forEach((graph) => { graph.observer.disconnect(); plotly?.purge(graph.place); });
}

// Plotly and the figures arrive in separate messages, which the browser receives once.
function whenLoaded(state, then, patience = 1200) {
  plotly ??= window.Plotly;
  const missing = state.data.panels.some(({ digest }) => !window.ravelFigures?.[digest]);
  if (plotly && !missing) then();
  else if (patience) setTimeout(() => whenLoaded(state, then, patience - 1), 50);
}

function draw(parent, state) {
  const { panels, height } = state.data;
  const root = parent.querySelector(".maps");
  while (state.graphs.length > panels.length) {
    const graph = state.graphs.pop();
    graph.observer.disconnect();
    plotly.purge(graph.place);
    graph.box.remove();
  }
  const theme = state.theme = themeOf(root);
  panels.forEach((panel, i) => {
    const graph = state.graphs[i] ?? (state.graphs[i] = addGraph(root, state));
    graph.title.textContent = panel.title;
    graph.place.style.height = `${height}px`;
    const digest = panel.digest + JSON.stringify(theme);
    if (graph.digest === digest) return;
    const { traces, layout } = themed(JSON.parse(window.ravelFigures[panel.digest]), theme, height);
    graph.digest = digest;
    graph.base = traces.length;
    graph.three = traces.some((trace) => trace.type === "scatter3d");
    graph.where = places(traces);
    graph.opacity = traces.map((trace) => trace.opacity);
    const config = { displaylogo: false, scrollZoom: true, displayModeBar: true,
      doubleClick: "reset", modeBarButtons: graph.three ? BUTTONS.three : BUTTONS.two };
    plotly.react(graph.place, [...traces, ...overlays(graph.three, theme)], layout, config);
    graph.marked = graph.shown = undefined;
    if (!graph.listens) listen(graph, state);
  });
  mark(state);
}

function addGraph(root, state) {
  const box = document.createElement("div"), title = document.createElement("div");
  const place = document.createElement("div");
  box.className = "map"; title.className = "title"; place.className = "plot";
  box.append(title, place);
  root.append(box);
  const observer = new ResizeObserver(() => place.data && plotly.Plots.resize(place));
  observer.observe(box);
  return { box, title, place, observer };
}

function listen(graph, state) {
  graph.listens = true;
  graph.place.on("plotly_click", ({ points }) => {
    const query = points.map((point) => point.data.meta?.queries ? point.pointNumber : -1).find((at) => at >= 0);
    if (query !== undefined) return state.send({ query, at: Date.now() });
    const id = points.map((point) => point.customdata).find((id) => id !== undefined);
    if (id === undefined) return;
    focusOn(id, state);
  });
  // A click on a legend entry plays an example of the class; a double click isolates the class.
  graph.place.on("plotly_legendclick", ({ curveNumber }) => {
    const twice = Date.now() - (graph.pressed ?? 0) < 350;
    graph.pressed = Date.now();
    if (twice) return true;
    const id = example(graph, curveNumber);
    if (id !== undefined) focusOn(id, state);
    return false;
  });
  graph.place.on("plotly_clickannotation", ({ index }) => state.send({ query: index, at: Date.now() }));
  graph.place.on("plotly_selected", (event) => {
    if (!event?.points || !(event.range || event.lassoPoints)) return;
    const ids = event.points.map((point) => point.customdata).filter((id) => id !== undefined);
    state.data = { ...state.data, chosen: ids };
    // Remove the outline: Plotly takes every click inside it for an attempt to edit it.
    setTimeout(() => {
      plotly.relayout(graph.place, { selections: [] });
      state.graphs.forEach((other) => { other.shown = undefined; other.marked = undefined; });
      mark(state);
    });
    state.send({ chosen: ids, at: Date.now() });
  });
  graph.place.on("plotly_deselect", () => {
    state.data = { ...state.data, chosen: [] };
    mark(state);
    state.send({ chosen: [], at: Date.now() });
  });
}

function focusOn(id, state) {
  state.data = { ...state.data, focus: id, near: [] };
  mark(state);
  state.send({ focus: id, at: Date.now() });
}

// The next point of a class, from the middle of the class outwards.
function example(graph, number) {
  const { customdata, x, y, z } = graph.place.data[number];
  const middle = [x, y, z].map((values) => values && [...values].sort((a, b) => a - b)[values.length >> 1]);
  const far = (i) => [x, y, z].reduce((sum, values, k) => sum + (values ? (values[i] - middle[k]) ** 2 : 0), 0);
  const order = [...customdata.keys()].sort((a, b) => far(a) - far(b));
  graph.played ??= {};
  const turn = graph.played[number] = (graph.played[number] ?? -1) + 1;
  return customdata[order[turn % order.length]];
}

// Mark the selected points, the one in focus and its neighbours without redrawing the figure.
function mark(state) {
  const { focus, near, chosen } = state.data, some = new Set(chosen);
  state.graphs.forEach((graph, number) => {
    const queries = state.data.panels[number]?.queries ?? [];
    const wanted = JSON.stringify([focus, near, chosen, queries]);
    if (graph.marked === wanted) return;
    graph.marked = wanted;
    const base = [...Array(graph.base).keys()], all = graph.place.data;
    if (graph.shown !== JSON.stringify(chosen)) {
      graph.shown = JSON.stringify(chosen);
      if (graph.three) plotly.restyle(graph.place, { opacity: graph.opacity.map((full) => some.size ? 0.12 : full) }, base);
      else plotly.restyle(graph.place, { selectedpoints: base.map((i) => some.size
        ? all[i].customdata.flatMap((id, at) => (some.has(id) ? [at] : [])) : null) }, base);
    }
    const lists = [graph.three ? chosen : [], near ?? [], focus == null ? [] : [focus]];
    const points = lists.map((ids) => ids.map((id) => graph.where.get(id)).filter(Boolean));
    const change = { x: points.map((p) => p.map((q) => q[0])), y: points.map((p) => p.map((q) => q[1])) };
    if (graph.three) change.z = points.map((p) => p.map((q) => q[2]));
    change.x.push(queries.map((q) => q[1]));
    change.y.push(queries.map((q) => q[2]));
    change.z?.push(queries.map((q) => q[3]));
    plotly.restyle(graph.place, change, [0, 1, 2, 3].map((i) => graph.base + i));
    const names = queries.map((q) => q[0]);
    plotly.restyle(graph.place, { text: [names], hovertext: [names] }, [graph.base + 3]);
    if (!graph.three) plotly.relayout(graph.place, { annotations: queries.map((q) => label(q, state.theme)) });
  });
}

// Text inside the plot itself would lie beneath its points.
function label([text, x, y], theme) {
  return { text: `<b>${text}</b>`, x, y, yshift: 18, showarrow: false, borderpad: 1,
    bgcolor: theme.background, opacity: 0.9, captureevents: true };
}

function overlays(three, theme) {
  const ring = (size, width, symbol) => ({
    type: three ? "scatter3d" : webgl ? "scattergl" : "scatter", mode: "markers", x: [], y: [], ...(three ? { z: [] } : {}),
    hoverinfo: "skip", showlegend: false,
    marker: { size, symbol, color: theme.text, line: { width, color: theme.text } },
  });
  const query = { ...ring(three ? 8 : 16, 2, "diamond"), mode: three ? "markers+text" : "markers",
    text: [], textposition: "top center", hoverinfo: "text", meta: { queries: true } };
  query.marker.line.color = theme.background;
  return [ring(three ? 4 : 5, 0, "circle"), ring(three ? 6 : 11, 1.5, "circle-open"),
    ring(three ? 12 : 17, 3, "circle-open"), query];
}

function places(traces) {
  const where = new Map();
  for (const { customdata, x, y, z } of traces)
    customdata.forEach((id, i) => where.set(id, [x[i], y[i], z?.[i]]));
  return where;
}

function themed({ data, layout }, theme, height) {
  const traces = data.map((trace) => {
    const colour = trace.meta?.faded ? theme.faded
      : trace.meta?.category === undefined ? null : theme.colours[trace.meta.category % theme.colours.length];
    const type = trace.type === "scattergl" && !webgl ? "scatter" : trace.type;
    return { ...trace, type, marker: { ...trace.marker, ...(colour ? { color: colour } : {}) } };
  });
  const font = { color: theme.text, family: theme.font, size: 12 };
  const axis = { gridcolor: theme.border, zerolinecolor: theme.border, linecolor: theme.border,
    color: theme.text, zeroline: false };
  const scene = {};
  for (const name of ["xaxis", "yaxis", "zaxis"])
    scene[name] = { ...layout.scene?.[name], ...axis, showbackground: false, showspikes: false };
  return { traces, layout: {
    ...layout, height, font, autosize: true, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", clickmode: "event", hovermode: "closest",
    dragmode: layout.scene ? "orbit" : "lasso", selections: [],
    xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis },
    ...(layout.scene ? { scene: { ...layout.scene, ...scene } } : {}),
    newselection: { line: { color: theme.text, width: 1.5, dash: "dot" } },
    activeselection: { fillcolor: "rgba(0,0,0,0)" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: theme.faded, activecolor: theme.primary, orientation: "h" },
    hoverlabel: { bgcolor: theme.background, bordercolor: theme.border, font },
  } };
}

function themeOf(element) {
  const style = getComputedStyle(element), css = (name) => style.getPropertyValue(name).trim();
  const own = css("--st-chart-categorical-colors").split(",").filter((colour) => colour.startsWith("#"));
  return { text: css("--st-text-color"), background: css("--st-background-color"), font: css("--st-font"),
    border: css("--st-border-color"), primary: css("--st-primary-color"), faded: "#8A979D",
    colours: [...own.slice(0, 4), ...PALETTE.slice(Math.min(own.length, 4))] };
}
