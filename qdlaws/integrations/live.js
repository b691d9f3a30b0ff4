"use strict";
// What a live page has beyond the report: it follows the runs, and every chart zooms and is saved.
(() => {
  const { data, charts, draw } = globalThis.report ?? { charts: [] };
  const EVERY = 1000; // milliseconds between looks
  const KEPT = "qdlaws-live";
  const bar = document.getElementById("live");
  const version = bar.dataset.version;

  // ---------------------------------------------------------------- zoom

  const key = ({ figure, x, y }) => `${figure.dataset.free === undefined ? "" : "free "}${y} ${x}`;

  function zoom(chart, view) {
    chart.zoom = view;
    draw(chart);
    keep();
  }

  /** The view that is shown, closer by a factor around its middle; above 1 it is wider. */
  function scaled(chart, factor) {
    const around = ([low, high]) => {
      const middle = (low + high) / 2, half = ((high - low) / 2) * factor;
      return [middle - half, middle + half];
    };
    return { x: around(chart.frame.xs), y: around(chart.frame.ys) };
  }

  function drag(chart) {
    const holder = chart.figure.querySelector(".holder");
    const frame = document.createElement("div");
    frame.className = "zoom";
    holder.append(frame);
    let from = null;
    const place = (event) => {
      const box = holder.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    holder.addEventListener("pointerdown", (event) => {
      if (event.button === 0) from = [...place(event), event.pointerType === "touch"];
    });
    holder.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [x, y] = place(event), [fromX, fromY, touch] = from;
      Object.assign(frame.style, {
        display: "block", left: `${Math.min(x, fromX)}px`, width: `${Math.abs(x - fromX)}px`,
        top: touch ? "0" : `${Math.min(y, fromY)}px`,
        height: touch ? "100%" : `${Math.abs(y - fromY)}px`,
      });
    });
    const end = (event) => {
      frame.style.display = "none";
      if (!from) return;
      const [x, y] = place(event), [fromX, fromY, touch] = from;
      from = null;
      if (event.type === "pointercancel" || Math.abs(x - fromX) < 8) return;
      const scale = chart.width / holder.querySelector("svg").getBoundingClientRect().width;
      const { xs, ys, box } = chart.frame;
      const at = (pixel, [low, high], start, stop) =>
        low + ((pixel * scale - start) / (stop - start)) * (high - low);
      const across = [x, fromX].map((p) => at(p, xs, box.left, box.right)).sort((a, b) => a - b);
      const up = [y, fromY].map((p) => at(p, ys, box.bottom, box.top)).sort((a, b) => a - b);
      zoom(chart, { x: across, y: touch || Math.abs(y - fromY) < 8 ? ys : up });
    };
    holder.addEventListener("pointerup", end);
    holder.addEventListener("pointercancel", end);
    holder.addEventListener("dblclick", () => zoom(chart, null));
  }

  // ---------------------------------------------------------------- saving

  function save(name, type, words) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([words], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const title = (chart) => `${chart.y}-on-${chart.x}`;

  /** The chart as a file of its own: what the style sheet says is written into each element. */
  function picture(chart) {
    const copy = chart.svg.cloneNode(true);
    const named = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap",
      "opacity", "font"];
    const there = [...chart.svg.querySelectorAll("*")];
    [...copy.querySelectorAll("*")].forEach((node, i) => {
      const style = getComputedStyle(there[i]);
      node.setAttribute("style", named.map((n) => `${n}:${style.getPropertyValue(n)}`).join(";"));
    });
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const ground = getComputedStyle(chart.figure).backgroundColor;
    copy.setAttribute("style", `background:${ground}`);
    save(`${title(chart)}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(copy));
  }

  /** The checkpoints that are drawn, as a table. */
  function numbers(chart) {
    const columns = ["step", ...data.columns.flatMap((c) => [c, `${c}_se`])]
      .filter((c) => data.runs.some((run) => run.data[c]));
    const quoted = (words) => `"${String(words).replaceAll('"', '""')}"`;
    const lines = [["run", ...columns].join(",")];
    for (const spot of chart.spots) {
      const run = data.runs[spot.run];
      lines.push([quoted(run.name), ...columns.map((c) => run.data[c]?.[spot.row] ?? "")].join(","));
    }
    save(`${title(chart)}.csv`, "text/csv", `${lines.join("\n")}\n`);
  }

  function tools(chart) {
    const row = document.createElement("p");
    row.className = "tools";
    const actions = {
      "Zoom in": () => zoom(chart, scaled(chart, 0.5)),
      "Zoom out": () => zoom(chart, scaled(chart, 2)),
      "Whole": () => zoom(chart, null),
      "Picture": () => picture(chart),
      "Numbers": () => numbers(chart),
    };
    for (const [words, action] of Object.entries(actions)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", action);
      row.append(button);
    }
    chart.figure.querySelector(".reading").after(row);
    drag(chart);
  }

  // ---------------------------------------------------------------- following

  /** Where the reader is, over the next loading of the page. */
  function keep() {
    const zooms = charts.filter((c) => c.zoom).map((c) => [key(c), c.zoom]);
    const open = [...document.querySelectorAll("details")].flatMap((d, i) => (d.open ? [i] : []));
    sessionStorage.setItem(KEPT, JSON.stringify({ zooms, open, top: scrollY }));
  }

  function recall() {
    const kept = JSON.parse(sessionStorage.getItem(KEPT) || "{}");
    const zooms = new Map(kept.zooms || []);
    for (const chart of charts) {
      if (zooms.has(key(chart))) { chart.zoom = zooms.get(key(chart)); draw(chart); }
    }
    const details = document.querySelectorAll("details");
    (kept.open || []).forEach((i) => { if (details[i]) details[i].open = true; });
    if (kept.top) scrollTo(0, kept.top);
  }

  const busy = () => [...document.querySelectorAll(".zoom")].some((z) => z.style.display === "block");

  async function look() {
    try {
      const answer = await fetch("version", { cache: "no-store" });
      const now = await answer.text();
      bar.classList.remove("lost");
      if (now !== version && !busy()) {
        keep();
        location.reload();
        return;
      }
    } catch {
      bar.classList.add("lost");
      bar.textContent = "No connection to qdlaws watch: this is how the runs stood when it ended.";
    }
    setTimeout(look, EVERY);
  }

  charts.forEach(tools);
  recall();
  setTimeout(look, EVERY);
  document.documentElement.dataset.live = "yes";
})();
