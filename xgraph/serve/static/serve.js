// The pages of a folder: they ask what there is again and again, and change only what differs, so that
// nothing flickers, and focus and selection stay.
"use strict";

(() => {
  const EVERY = 1500;
  const COLOURS = ["--one", "--two", "--three", "--four", "--five", "--six"];
  const $ = (id) => document.getElementById(id);
  const at = location.pathname === "/" ? "/data" : location.pathname.replace(/^\/run/, "/data");
  const charts = new Map();

  // ---------------------------------------------------------------------------------------- parts

  function made(tag, parent, known = {}) {
    const found = Object.assign(document.createElement(tag), known);
    parent.append(found);
    return found;
  }

  // The part of the page by this name: made when it is first asked for, in the order of asking.
  function part(name, tag, parent = $("main"), known = {}) {
    const found = parent.querySelector(`:scope > [data-part="${CSS.escape(name)}"]`);
    if (found) return found;
    const fresh = made(tag, parent, known);
    fresh.dataset.part = name;
    return fresh;
  }

  function section(title, shown) {
    const found = part(title, "section");
    part("title", "h2", found, { textContent: title });
    found.hidden = !shown;
    return found;
  }

  // A value: a text, a number, or { text, href, state }.
  function put(cell, value) {
    const told = JSON.stringify(value ?? "");
    if (cell.dataset.told === told) return;
    cell.dataset.told = told;
    const { text = value, href = null, state = "" } = value ?? {};
    const shown = document.createElement("bdi");
    shown.textContent = typeof text === "number" ? number(text) : text ?? "";
    shown.className = state;
    const link = href && cell.querySelector("a");
    if (link) return link.replaceChildren(shown);
    if (href) made("a", cell, { href }).append(shown);
    else cell.replaceChildren(shown);
    cell.classList.toggle("number", typeof text === "number");
  }

  function number(value) {
    return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4);
  }

  // Rows are [key, ...values]; those of a key that is there already stay where they are.
  function table(parent, head, rows) {
    const found = part("table", "table", parent);
    if (!found.tHead) {
      const titles = found.createTHead().insertRow();
      head.forEach((name) => made("th", titles, { scope: "col", textContent: name }));
      found.createTBody();
    }
    const body = found.tBodies[0], keys = new Set(rows.map(([key]) => String(key)));
    const known = new Map();
    [...body.rows].forEach((row) => {
      if (keys.has(row.dataset.key)) known.set(row.dataset.key, row);
      else row.remove();
    });
    rows.forEach(([key, ...values], i) => {
      const row = known.get(String(key)) ?? document.createElement("tr");
      row.dataset.key = key;
      if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
      values.forEach((value, c) => put(row.cells[c] ?? row.insertCell(), value));
    });
    return found;
  }

  function list(parent, tag, texts, className = "") {
    const found = part(`${tag} ${className}`, tag, parent, { className });
    const told = JSON.stringify(texts);
    if (found.dataset.told === told) return;
    found.dataset.told = told;
    found.replaceChildren();
    texts.forEach((text) => made(tag === "ul" ? "li" : "span", found, { textContent: text }));
  }

  function facts(parent, pairs) {
    const found = part("facts", "dl", parent);
    const told = JSON.stringify(pairs);
    if (found.dataset.told === told) return;
    found.dataset.told = told;
    found.replaceChildren();
    pairs.forEach(([name, value]) => {
      made("dt", found, { textContent: name });
      put(made("dd", found), value);
    });
  }

  function folded(name, text) {
    const found = part(name, "details");
    part("name", "summary", found, { textContent: name });
    found.hidden = !text;
    const pre = part("text", "pre", found, { tabIndex: 0 });
    if (pre.textContent !== (text ?? "")) pre.textContent = text ?? "";
  }

  // --------------------------------------------------------------------------------------- curves

  // As a canvas takes it: what a name stands for depends on the theme.
  function colour(name) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  // `curves` by name, each a list over 1, 2, ...
  function chart(parent, title, unit, curves) {
    const names = Object.keys(curves), key = JSON.stringify([title, names]);
    const figure = part(title, "figure", parent);
    const length = Math.max(...names.map((name) => curves[name].length));
    const xs = Array.from({ length }, (_, i) => i + 1);
    const data = [xs, ...names.map((name) => xs.map((_, i) => curves[name][i] ?? null))];
    const last = names.map((name) => `${name} ${number(curves[name].at(-1) ?? NaN)}`);
    figure.dataset.points = length;
    figure.setAttribute("aria-label", `${title} over ${length} ${unit}s; last: ${last.join(", ")}`);
    const known = charts.get(figure);
    if (known?.key === key) {
      if (known.told !== JSON.stringify(data)) known.plot.setData(data);
      known.told = JSON.stringify(data);
      return;
    }
    known?.plot.destroy();
    figure.replaceChildren();
    made("figcaption", figure, { textContent: title });
    const lines = { stroke: () => colour("--soft"), grid: { stroke: () => colour("--rule"), width: 1 },
      ticks: { stroke: () => colour("--rule"), width: 1 } };
    const series = names.map((name, i) => ({
      label: name, stroke: () => colour(COLOURS[i % COLOURS.length]), width: 1.8, spanGaps: true,
      dash: i < COLOURS.length ? undefined : [6, 4], points: { show: length < 2, size: 6 },
      value: (_, value) => value == null ? "" : number(value),
    }));
    const plot = new uPlot({
      width: figure.clientWidth || 420, height: 220, scales: { x: { time: false } },
      axes: [{ ...lines, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000] },
        { ...lines, size: 64, values: (_, ticks) => ticks.map((tick) => +tick.toPrecision(4)) }],
      series: [{ label: unit, value: (_, value) => value ?? "" }, ...series],
    }, data, figure);
    charts.set(figure, { key, plot, told: JSON.stringify(data) });
    new ResizeObserver(() => {
      plot.setSize({ width: figure.clientWidth, height: 220 });
    }).observe(figure);
  }

  // --------------------------------------------------------------------------------------- pages

  const link = ({ name, href }) => ({ text: name, href });
  const stated = (state) => ({ text: state, state });

  function ago(seconds) {
    const past = Date.now() / 1000 - seconds;
    const [unit, by] = past < 60 ? ["second", 1] : past < 3600 ? ["minute", 60]
      : past < 86400 ? ["hour", 3600] : ["day", 86400];
    return new Intl.RelativeTimeFormat("en").format(-Math.floor(past / by), unit);
  }

  function overview({ folder, items, notes }) {
    titled(folder, "");
    const line = (item) => [item.href, link(item), item.kind, stated(item.state),
      item.latest.join(", "), ago(item.changed)];
    const runs = items.filter((item) => item.kind !== "network");
    const going = runs.filter((item) => item.state === "running");
    const ended = runs.filter((item) => item.state !== "running")
      .sort((a, b) => b.changed - a.changed);
    const networks = items.filter((item) => item.kind === "network");
    const head = ["name", "kind", "state", "latest", "changed"];
    table(section("In progress", going.length), head, going.map(line));
    table(section("Ended", ended.length), head, ended.map(line));
    table(section("Networks", networks.length), ["name"],
      networks.map((item) => [item.href, link(item)]));
    list($("main"), "ul", items.length ? notes :
      [...notes, "There is no training, search or network in this folder yet."], "note");
  }

  function run(told) {
    titled(told.name, `${told.kind}, ${told.state}${told.latest.map((text) => `, ${text}`).join("")}`);
    list($("main"), "ul", told.problems, "problems");
    const links = told.networks.map((network) => [
      network.name === "space.xg" ? "space" : "network", link(network),
    ]);
    if (told.report) links.push(["report", { text: "report.html", href: told.report }]);
    facts($("main"), [...links, ["changed", new Date(told.changed * 1000).toLocaleString()],
      ...told.facts]);
    (told.kind === "training" ? training : search)(told);
    folded("recipe.yaml", told.recipe);
  }

  function training({ columns, test, state }) {
    const { epoch = [], stage, step, lr, ...curves } = columns;
    const groups = Object.create(null);  // a name may be any, `__proto__` too
    Object.entries(curves).forEach(([name, values]) => {
      (groups[name.split("/").at(-1)] ??= Object.create(null))[name] = values;
    });
    if (lr) groups.lr = { lr };  // the last, and least
    const found = section("Curves", true);
    list(found, "p", epoch.length || state !== "running" ? [] : ["No epoch is done yet."], "note");
    const grid = part("charts", "div", found, { className: "charts" });
    if (epoch.length) {
      Object.entries(groups).forEach(([title, lines]) => chart(grid, title, "epoch", lines));
    }
    table(section("Test", test.length), ["metric", "value"],
      test.map(([name, value]) => [name, name, value]));
    const numbers = part("epochs", "details");
    part("name", "summary", numbers, { textContent: "epochs as a table" });
    numbers.hidden = !epoch.length;
    numbers.ontoggle = ask;
    const names = Object.keys(columns);
    if (numbers.open) {
      table(numbers, names, epoch.map((_, i) => [i, ...names.map((name) => columns[name][i])]))
        .className = "narrow";
    }
  }

  function search({ curves, best, trials, count }) {
    const found = section("Best so far", Object.keys(curves).length);
    const grid = part("charts", "div", found, { className: "charts" });
    if (Object.keys(curves).length) chart(grid, "score", "trial", curves);
    const cells = ({ number: n, phase, score, params }) => [n, phase, score, params];
    table(section("Best networks", best.length), ["network", "trial", "phase", "score", "parameters"],
      best.map(({ row, href, name }) => [href, { text: name, href }, ...cells(row)]))
      .className = "narrow";
    const every = section("Trials", trials.length);
    list(every, "p", count > trials.length ? [`the last ${trials.length} of ${count}`] : [], "note");
    table(every, ["trial", "phase", "score", "parameters", "state"],
      trials.map((row) => [row.number, ...cells(row), row.state])).className = "narrow";
  }

  function titled(name, about) {
    document.title = `${name} - xgraph`;
    if ($("name").textContent !== name) $("name").textContent = name;
    if ($("about").textContent !== about) $("about").textContent = about;
  }

  // ------------------------------------------------------------------------------------ the clock

  function told(text) {
    if ($("told").textContent !== text) $("told").textContent = text;
  }

  async function ask() {
    try {
      const answer = await fetch(at);
      if (!answer.ok) return told(await answer.text());
      const found = await answer.json(), focused = document.activeElement;
      (at === "/data" ? overview : run)(found);
      if (focused !== document.activeElement && focused.isConnected) focused.focus();
      told("");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      told("The server does not answer.");
    }
  }

  function themed(dark) {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    $("theme").textContent = dark ? "Light" : "Dark";
    charts.forEach(({ plot }) => plot.redraw(false, true));
  }

  $("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    localStorage.setItem("theme", dark ? "dark" : "light");
    themed(dark);
  });
  $("home").parentElement.hidden = at === "/data";
  const kept = localStorage.getItem("theme");
  themed(kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  // A folder of many runs takes the server a while: it has a rest of four times that.
  (async function clock() {
    const began = performance.now();
    if (!document.hidden) await ask();
    setTimeout(clock, Math.max(EVERY, 4 * (performance.now() - began)));
  })();
})();
