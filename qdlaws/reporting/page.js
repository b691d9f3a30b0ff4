"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const { markers: MARKERS, colours: COLOURS, reach: REACH } = data;
  const single = data.runs.length === 1;
  const shown = new Set(data.runs.keys());
  const charts = [];
  let widest = Infinity; // that a chart may be; less on paper

  // ---------------------------------------------------------------- small helpers

  const make = (name, attributes = {}, parent = null) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.append(node);
    return node;
  };
  const text = (parent, words, attributes) => {
    make("text", attributes, parent).textContent = words;
  };
  const finite = (v) => v !== null && v !== undefined && Number.isFinite(v);
  const show = (v) => (finite(v) ? String(Number(v.toPrecision(4))) : "unknown");
  const colour = (run) => (single ? "alone" : `r${run % COLOURS}`);

  function ticks([low, high], about) {
    const raw = (high - low) / Math.max(about, 1);
    const power = 10 ** Math.floor(Math.log10(raw));
    const off = (m) => Math.abs(Math.log((m * power) / raw));
    const step = power * [1, 2, 5, 10].reduce((a, b) => (off(b) < off(a) ? b : a));
    const out = [];
    for (let i = Math.ceil(low / step - 1e-9); i <= high / step + 1e-9; i++) out.push(i * step);
    return out.map((v) => Number(v.toPrecision(12)));
  }

  function range(values) {
    let low = Infinity, high = -Infinity;
    for (const v of values) if (finite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    if (low > high) return [0, 1];
    const pad = 0.04 * (high - low) || 0.5 * Math.abs(low) || 1;
    return [low - pad, high + pad];
  }

  /** The range of the points; bands beside them widen it by half of it on either side at most. */
  function following(points, beside) {
    const low = (values) => values.reduce((a, v) => (finite(v) && v < a ? v : a), Infinity);
    const high = (values) => values.reduce((a, v) => (finite(v) && v > a ? v : a), -Infinity);
    const [first, last] = [low(points), high(points)];
    if (first > last) return range(beside);
    const reach = REACH * (last - first) || Infinity;
    return range([
      Math.max(Math.min(first, low(beside)), first - reach),
      Math.min(Math.max(last, high(beside)), last + reach)]);
  }

  // ---------------------------------------------------------------- one chart

  /** What a run has to draw for y against x: points, and a curve with its band. */
  function layer(run, x, y) {
    const { data: table, laws, forecast } = data.runs[run];
    const points = [];
    if (table[x] && table[y]) {
      table.step.forEach((_, i) => {
        if (finite(table[x][i]) && finite(table[y][i])) points.push(i);
      });
    }
    const curves = [];
    for (const [kind, [of, on]] of Object.entries(data.pairs)) {
      if (of === x && on === y && laws[kind]) curves.push(laws[kind]);
    }
    if (x === "step" && forecast && forecast[y]) {
      const f = forecast[y];
      curves.push({ x: f.step, low: f.low, mid: f.mid, high: f.high, supported: true, ahead: true });
    }
    return { run, table, points, curves };
  }

  function draw(chart) {
    const { figure, x, y } = chart;
    const holder = figure.querySelector(".holder");
    const width = Math.max(Math.min(holder.clientWidth, widest), 260);
    const height = Math.round(Math.min(Math.max(width * 0.66, 240), 420));
    const box = { left: 56, right: width - 12, top: 10, bottom: height - 42 };
    const layers = [...shown].sort((a, b) => a - b).map((run) => layer(run, x, y));
    const xs = chart.zoom?.x ?? range(layers.flatMap((l) => [
      ...l.points.map((i) => l.table[x][i]), ...l.curves.flatMap((c) => c.x)]));
    const ys = chart.zoom?.y ?? following(
      layers.flatMap((l) => l.points.map((i) => l.table[y][i])),
      layers.flatMap((l) => l.curves.flatMap((c) => [...c.low, ...c.mid, ...c.high])));
    const px = (v) => box.left + ((v - xs[0]) / (xs[1] - xs[0])) * (box.right - box.left);
    const py = (v) => box.bottom - ((v - ys[0]) / (ys[1] - ys[0])) * (box.bottom - box.top);
    py.inside = (v) => Math.min(Math.max(v, ys[0]), ys[1]);
    const words = describe(layers, x, y);
    const svg = make("svg", {
      class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0",
      "aria-label": `${words} Arrow keys walk through the checkpoints.`,
    });
    axes(svg, box, xs, ys, px, py, x, y);
    marks(svg, layers, box, x, px, xs);
    let spots = [], plot = svg;
    if (chart.zoom) plot = clipped(svg, box, charts.indexOf(chart));
    for (const l of layers) bands(plot, l, px, py);
    for (const l of layers) dots(plot, l, x, y, px, py, spots);
    for (const l of layers) lines(plot, l, px, py);
    if (chart.zoom) {
      spots = spots.filter(({ cx, cy }) =>
        cx >= box.left && cx <= box.right && cy >= box.top && cy <= box.bottom);
    }
    chart.halo = make("circle", { class: "halo", r: 7, cx: -20, cy: -20 }, svg);
    if (!spots.length) {
      text(svg, shown.size ? "no readings to draw" : "no run chosen",
        { x: width / 2, y: height / 2, "text-anchor": "middle", class: "name" });
    }
    spots.sort((a, b) => a.run - b.run || a.row - b.row);
    Object.assign(chart, { svg, spots, width, row: -1, frame: { xs, ys, box } });
    holder.querySelector("svg")?.remove();
    holder.prepend(svg);
    listen(chart);
    read(chart, -1);
  }

  /** A group that shows nothing outside of the axes, for a chart that is zoomed. */
  function clipped(svg, box, number) {
    const clip = make("clipPath", { id: `plot-${number}` }, svg);
    make("rect", {
      x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }, clip);
    return make("g", { "clip-path": `url(#plot-${number})` }, svg);
  }

  function describe(layers, x, y) {
    const names = layers.map((l) => data.runs[l.run].name);
    const who = names.length > 3 ? `${names.length} runs` : names.join(", ") || "no run";
    const laws = layers.flatMap((l) => l.curves.map((c) => c.words).filter(Boolean));
    return `${y} against ${x} of ${who}${laws.length ? `; law: ${laws.join(", ")}` : ""}.`;
  }

  function axes(svg, box, xs, ys, px, py, x, y) {
    for (const v of ticks(xs, (box.right - box.left) / 80)) {
      make("path", { class: "grid", d: `M${px(v)} ${box.top}V${box.bottom}` }, svg);
      text(svg, String(v), { x: px(v), y: box.bottom + 16, "text-anchor": "middle" });
    }
    for (const v of ticks(ys, (box.bottom - box.top) / 50)) {
      make("path", { class: "grid", d: `M${box.left} ${py(v)}H${box.right}` }, svg);
      text(svg, String(v), { x: box.left - 6, y: py(v) + 4, "text-anchor": "end" });
    }
    make("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }, svg);
    const middle = (box.left + box.right) / 2;
    text(svg, x === "step" ? data.clock : x, { class: "name", x: middle, y: box.bottom + 34, "text-anchor": "middle" });
    const turn = `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`;
    text(svg, y, { class: "name", transform: turn, "text-anchor": "middle" });
  }

  /** Where a new regime began, as dashed uprights over the steps. */
  function marks(svg, layers, box, x, px, [low, high]) {
    if (x !== "step") return;
    for (const l of layers) {
      for (const step of data.runs[l.run].marks) {
        if (step < low || step > high) continue;
        make("path", { class: "mark", d: `M${px(step)} ${box.top}V${box.bottom}` }, svg);
      }
    }
  }

  const path = (x, y, px, py) =>
    x.map((v, i) => `${i ? "L" : "M"}${px(v).toFixed(1)} ${py(y[i]).toFixed(1)}`).join("");
  /** The part of a line that is on the axis. */
  const within = ({ x, mid }, py) => {
    const rows = x.map((_, i) => i).filter((i) => py.inside(mid[i]) === mid[i]);
    return [rows.map((i) => x[i]), rows.map((i) => mid[i])];
  };
  const look = (c) => (c.supported ? "" : " loose") + (c.ahead ? " ahead" : "");

  function bands(svg, l, px, py) {
    for (const c of l.curves) {
      const x = [...c.x, ...[...c.x].reverse()];
      const y = [...c.low, ...[...c.high].reverse()].map(py.inside);
      make("path", { class: `band ${colour(l.run)}${look(c)}`, d: `${path(x, y, px, py)}Z` }, svg);
    }
  }

  function lines(svg, l, px, py) {
    for (const c of l.curves) {
      const d = path(...within(c, py), px, py);
      make("path", { class: `law ${colour(l.run)}${look(c)}`, d }, svg);
      for (const side of c.beyond || []) {
        const far = path(...within(side, py), px, py);
        make("path", { class: `law ${colour(l.run)} beyond`, d: far }, svg);
      }
    }
  }

  function dots(svg, l, x, y, px, py, spots) {
    const marker = single ? 0 : l.run % MARKERS.length;
    const out = l.curves.map((c) => c.left_out).find(Boolean);
    const parts = Array.from({ length: single ? COLOURS : 1 }, () => []);
    const rest = [];
    l.points.forEach((row, k) => {
      const cx = px(l.table[x][row]), cy = py(l.table[y][row]);
      const part = single ? Math.floor((k * COLOURS) / l.points.length) : 0;
      const step = l.table.step[row], left = out && step >= out[0] && step <= out[1];
      (left ? rest : parts[part]).push(`M${cx.toFixed(1)} ${cy.toFixed(1)}${MARKERS[marker]}`);
      spots.push({ run: l.run, row, cx, cy });
    });
    if (rest.length) make("path", { class: `dots m${marker} out`, d: rest.join("") }, svg);
    parts.forEach((d, i) => {
      const shade = single ? `t${i}` : `r${l.run % COLOURS}`;
      make("path", { class: `dots m${marker} ${shade}`, d: d.join("") }, svg);
    });
  }

  // ---------------------------------------------------------------- reading a point

  function listen(chart) {
    const { svg } = chart;
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const scale = chart.width / frame.width;
      const x = (event.clientX - frame.left) * scale, y = (event.clientY - frame.top) * scale;
      let best = -1, least = 40 ** 2;
      chart.spots.forEach((s, i) => {
        const far = (s.cx - x) ** 2 + (s.cy - y) ** 2;
        if (far < least) { least = far; best = i; }
      });
      read(chart, best);
    });
    svg.addEventListener("pointerleave", () => read(chart, -1));
    svg.addEventListener("blur", () => read(chart, -1));
    svg.addEventListener("keydown", (event) => {
      const last = chart.spots.length - 1;
      const to = {
        ArrowRight: Math.min(chart.row + 1, last), ArrowLeft: Math.max(chart.row - 1, 0),
        Home: 0, End: last, Escape: -1,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      read(chart, to);
    });
  }

  /** Writes the values of the i-th point below the chart, and rings the point. */
  function read(chart, i) {
    chart.row = i;
    const box = chart.figure.querySelector(".reading");
    const spot = chart.spots[i];
    chart.halo.setAttribute("cx", spot ? spot.cx : -20);
    chart.halo.setAttribute("cy", spot ? spot.cy : -20);
    if (!spot) {
      const hint = "Point at or tap a checkpoint to read it, here and above.";
      box.textContent = chart.figure.dataset.free === undefined ? "" : hint;
      return;
    }
    const run = data.runs[spot.run], value = (name) => run.data[name]?.[spot.row];
    const values = data.columns.filter((c) => run.data[c]).map((c) => {
      const se = value(`${c}_se`);
      return `${c} ${show(value(c))}${finite(se) ? ` ± ${show(se)}` : ""}`;
    });
    box.textContent = `${single ? "" : `${run.name} · `}${data.clock} ${value("step")} · ${values.join(" · ")}`;
  }

  // ---------------------------------------------------------------- controls

  const boxes = [...document.querySelectorAll("input[data-run]")];
  const axis = Object.fromEntries(
    ["x", "y"].map((name) => [name, document.getElementById(`axis-${name}`)]));
  const themes = document.getElementById("theme");

  const parts = [...document.querySelectorAll("[data-of]")];

  /** A table that runs out of its place says so. */
  function hints() {
    for (const place of document.querySelectorAll(".scroll")) {
      place.classList.toggle("more", place.scrollWidth > place.clientWidth + 1);
    }
  }

  function redraw() {
    for (const part of parts) part.hidden = !shown.has(Number(part.dataset.of));
    hints();
    for (const chart of charts) draw(chart);
  }

  function choose() {
    shown.clear();
    boxes.forEach((box) => { if (box.checked) shown.add(Number(box.dataset.run)); });
    redraw();
    remember();
  }

  const free = () => charts.find((chart) => chart.figure.dataset.free !== undefined);

  function turn() {
    Object.assign(free(), { x: axis.x.value, y: axis.y.value });
    draw(free());
    remember();
  }

  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => document.documentElement.dataset.theme;
  const dark = () => (chosen() ? chosen() === "dark" : system.matches);

  /** Puts a theme in force, or without a name only writes on the button what it would do. */
  function theme(name) {
    if (name) document.documentElement.dataset.theme = name;
    themes.textContent = dark() ? "Light colours" : "Dark colours";
  }

  /** The choice is kept behind the # of the address, so that a link shows the same. */
  function remember() {
    const state = new URLSearchParams();
    if (boxes.some((box) => !box.checked)) state.set("runs", [...shown].join(","));
    if (axis.x) { state.set("x", axis.x.value); state.set("y", axis.y.value); }
    if (chosen()) state.set("theme", chosen());
    history.replaceState(null, "", `#${state}`);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    if (state.has("runs")) {
      const runs = state.get("runs").split(",");
      boxes.forEach((box) => { box.checked = runs.includes(box.dataset.run); });
      shown.clear();
      boxes.forEach((box) => { if (box.checked) shown.add(Number(box.dataset.run)); });
    }
    for (const name of ["x", "y"]) {
      const offered = [...(axis[name]?.options || [])].some((o) => o.value === state.get(name));
      if (offered) axis[name].value = state.get(name);
    }
    theme(["dark", "light"].find((name) => name === state.get("theme")));
  }

  function start() {
    recall();
    for (const figure of document.querySelectorAll("figure[data-x]")) {
      const isFree = figure.dataset.free !== undefined;
      const x = isFree ? axis.x.value : figure.dataset.x;
      const y = isFree ? axis.y.value : figure.dataset.y;
      charts.push({ figure, x, y });
    }
    redraw();
    boxes.forEach((box) => box.addEventListener("change", choose));
    document.getElementById("all")?.addEventListener("click", () => {
      const on = boxes.some((box) => !box.checked);
      boxes.forEach((box) => { box.checked = on; });
      choose();
    });
    for (const name of ["x", "y"]) axis[name]?.addEventListener("change", turn);
    themes.addEventListener("click", () => { theme(dark() ? "light" : "dark"); remember(); });
    system.addEventListener("change", () => theme());
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) { width = innerWidth; redraw(); }
    });
    addEventListener("beforeprint", () => {
      document.querySelectorAll("details.printed").forEach((part) => { part.open = true; });
      widest = 640;
      redraw();
    });
    addEventListener("afterprint", () => { widest = Infinity; redraw(); });
    for (const part of document.querySelectorAll("details")) part.addEventListener("toggle", hints);
    globalThis.report = { data, charts, draw }; // for a script that adds to this page
    document.documentElement.dataset.ready = "yes";
  }

  start();
})();
