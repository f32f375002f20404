"use strict";
// Texts of the study reach the page as textContent only, never as HTML.
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const shown = (value, digits = 5) =>
    value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits)));

  // Figures ------------------------------------------------------------------------------------

  const theme = () => {
    const axis = { gridcolor: color("--rule"), linecolor: color("--rule"), zeroline: false };
    const hover = { bgcolor: color("--panel"), bordercolor: color("--rule"), font: { color: color("--ink") } };
    return { axis, hover };
  };
  const themed = (layout, narrow) => {
    const { axis, hover } = theme();
    const ticks = { ...axis, automargin: true, ticks: "", showline: true };
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--ink"), family: "system-ui, -apple-system, sans-serif", size: 13 },
      hoverlabel: hover,
      margin: { l: narrow ? 48 : 64, r: 12, t: 40, b: 52 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      showlegend: true,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--soft"), activecolor: color("--ink") },
      dragmode: narrow ? false : "zoom",
      xaxis: { ...layout.xaxis, ...ticks },
      yaxis: { ...layout.yaxis, ...ticks },
    };
  };
  // By name, since plotly's own choice has a button that sends the figure to a server of theirs.
  const buttons = [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]];
  const settings = { displaylogo: false, responsive: true, modeBarButtons: buttons, plotlyServerURL: "" };
  for (const place of document.querySelectorAll("[data-plot]")) {
    const figure = content.plots[place.dataset.plot];
    const narrow = window.matchMedia("(max-width: 40rem)").matches;
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", figure.title);
    Plotly.newPlot(place, figure.data, themed(figure.layout, narrow), { ...settings, displayModeBar: narrow ? false : "hover" });
    const views = document.querySelector(`[data-views="${place.dataset.plot}"]`);
    for (const group of figure.views) {
      const buttons = group.map((view, i) => make("button", { type: "button", "aria-pressed": i === 0 }, view.label));
      buttons.forEach((button, i) => button.addEventListener("click", () => {
        buttons.forEach((each) => each.setAttribute("aria-pressed", each === button));
        Plotly.update(place, group[i].data, group[i].layout);
      }));
      views.append(make("div", { class: "group", role: "group" }, ...buttons));
    }
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    const { axis, hover } = theme();
    for (const place of document.querySelectorAll("[data-plot]")) {
      const changed = { "font.color": color("--ink"), hoverlabel: hover, "modebar.color": color("--soft"), "modebar.activecolor": color("--ink") };
      for (const name of ["xaxis", "yaxis"])
        for (const key of ["gridcolor", "linecolor"]) changed[`${name}.${key}`] = axis[key];
      Plotly.relayout(place, changed);
    }
  });

  // Trials -------------------------------------------------------------------------------------

  const table = document.getElementById("trials-table");
  if (!table) return;
  const trials = content.trials;
  const ROWS = 25;
  const svg = "http://www.w3.org/2000/svg";
  const line = ([epochs, values]) => {
    const known = values.filter((value) => value !== null);
    const low = Math.min(...known), high = Math.max(...known);
    const first = epochs[0], span = epochs[epochs.length - 1] - first || 1;
    let path = "", pen = "M";
    values.forEach((value, i) => {
      if (value === null) { pen = "M"; return; }
      const x = 2 + 96 * (epochs[i] - first) / span;
      const y = 3 + 94 * (high > low ? (high - value) / (high - low) : 0.5);
      path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
    });
    const picture = document.createElementNS(svg, "svg");
    picture.setAttribute("viewBox", "0 0 100 100");
    picture.setAttribute("preserveAspectRatio", "none");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `from ${shown(values[0], 4)} to ${shown(values[values.length - 1], 4)}`);
    const drawn = document.createElementNS(svg, "path");
    drawn.setAttribute("d", path);
    picture.append(drawn);
    return picture;
  };
  const spark = (curve) => {
    const picture = line(curve);
    picture.setAttribute("class", "spark");
    return picture;
  };
  const columns = [
    { name: "trial", key: "number", numeric: true },
    { name: content.objective.replaceAll("_", " "), key: "value", numeric: true, digits: 6 },
    ...content.goals.map((name, i) => ({ name: name.replaceAll("_", " "), key: `goal ${i}`, numeric: true, digits: 6 })),
    { name: "state", key: "state" },
    { name: "epochs", key: "epochs", numeric: true },
    { name: "seconds", key: "seconds", numeric: true, digits: 3 },
    { name: "operations", key: "operations", wide: true },
    { name: "hyperparameters", key: "hyperparameters", wide: true },
    { name: "origin", key: "origin" },
    { name: "learning curve", key: "curve" },
  ].filter(({ key }) => trials.some((trial) => trial[key] !== null && trial[key] !== undefined && trial[key] !== ""));
  const size = (trial, key) => (key === "curve" ? (trial.curve ? trial.curve[1][trial.curve[1].length - 1] : null) : trial[key]);
  const words = trials.map((trial) =>
    [trial.number, trial.state, trial.operations, trial.hyperparameters, trial.origin, trial.details, trial.reason ?? ""].join("\n").toLowerCase());
  const order = { key: "number", down: false };
  let page = 0;

  const filter = make("input", { type: "search", placeholder: "Filter: an operation, a hyperparameter, …", "aria-label": "filter the trials" });
  const states = ["all states", ...new Set(trials.map((trial) => trial.state))];
  const state = make("select", { "aria-label": "state" }, ...states.map((name) => make("option", {}, name)));
  const improved = make("input", { type: "checkbox", id: "improved" });
  document.getElementById("table-controls").append(filter, ...(states.length > 2 ? [state] : []),
    make("label", { for: "improved", style: "font:.8125rem var(--plain)" }, improved, content.front ? " only those on the front" : " only those that improved the best"));
  const head = make("tr"), body = make("tbody");
  table.append(make("thead", {}, head), body);
  const heads = columns.map((column) => {
    const button = make("button", { type: "button" }, column.name);
    const cell = make("th", { scope: "col", class: column.numeric ? "numeric" : "" }, button);
    button.addEventListener("click", () => {
      order.down = order.key === column.key && !order.down;
      order.key = column.key;
      page = 0;
      show();
    });
    head.append(cell);
    return cell;
  });

  const cell = (trial, column) => {
    const value = trial[column.key];
    const kind = column.numeric ? "numeric" : column.wide ? "wide" : value === "failed" ? "failed" : "short";
    if (column.key === "curve") return make("td", {}, ...(value ? [spark(value)] : []));
    return make("td", { class: kind }, column.numeric ? shown(value, column.digits) : String(value ?? ""));
  };
  const more = (trial) => {
    const facts = Object.entries({ ...trial.facts, ...trial.fidelity }).map(([name, value]) => `${name}: ${value === null ? "not finite" : shown(value, 6)}`);
    const parts = [make("pre", {}, [trial.details, ...facts].join("\n"))];
    if (trial.reason) parts.unshift(make("p", { class: "sentence failed" }, trial.reason));
    if (trial.curve) {
      const [epochs, values] = trial.curve;
      const ends = `epoch ${epochs[0]}: ${shown(values[0], 4)}, epoch ${epochs[epochs.length - 1]}: ${shown(values[values.length - 1], 4)}`;
      parts.push(make("div", { class: "curve" }, line(trial.curve), make("small", {}, ends)));
    }
    return make("tr", { class: "more" }, make("td", { colspan: columns.length }, make("div", {}, ...parts)));
  };
  const row = (trial) => {
    const shownRow = make("tr", { class: trial.best ? "trial improved" : "trial", tabindex: 0, "aria-expanded": false },
      ...columns.map((column) => cell(trial, column)));
    const toggle = () => {
      const open = shownRow.getAttribute("aria-expanded") === "true";
      if (open) shownRow.nextElementSibling.remove();
      else shownRow.after(more(trial));
      shownRow.setAttribute("aria-expanded", !open);
    };
    shownRow.addEventListener("click", toggle);
    shownRow.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); }
    });
    return shownRow;
  };
  const back = make("button", { type: "button" }, "Back"), next = make("button", { type: "button" }, "Next"), where = make("span");
  document.getElementById("table-pages").append(back, next, where);
  back.addEventListener("click", () => { page -= 1; show(); });
  next.addEventListener("click", () => { page += 1; show(); });

  const compare = (a, b) => {
    const x = size(a, order.key), y = size(b, order.key);
    const without = (value) => value === null || value === undefined || value === "";
    if (without(x) || without(y)) return without(x) - without(y) || a.number - b.number; // always last
    const sign = typeof x === "number" ? x - y : x.localeCompare(y);
    return (order.down ? -sign : sign) || a.number - b.number;
  };
  const show = () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = trials
      .filter((trial, i) => wanted.every((word) => words[i].includes(word))
        && (state.selectedIndex <= 0 || trial.state === state.value)
        && (!improved.checked || trial.best))
      .sort(compare);
    page = Math.max(0, Math.min(page, Math.ceil(found.length / ROWS) - 1));
    const start = page * ROWS;
    body.replaceChildren(...found.slice(start, start + ROWS).map(row));
    where.textContent = found.length
      ? `${start + 1} to ${Math.min(start + ROWS, found.length)} of ${found.length} trials; a click shows more of one`
      : "no trial is like this";
    back.disabled = page === 0;
    next.disabled = start + ROWS >= found.length;
    heads.forEach((each, i) => {
      if (columns[i].key === order.key) each.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else each.removeAttribute("aria-sort");
    });
  };
  for (const control of [filter, state, improved])
    control.addEventListener("input", () => { page = 0; show(); });
  show();
})();
