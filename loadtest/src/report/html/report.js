// Crosshair with the values under it, and series that can be switched off. The page is complete without it.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");
  const stages = [...document.querySelectorAll(".stage")].filter((stage) => data.plots[stage.dataset.plot]);
  let shown = null;

  const grouped = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const fixed = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));
  const units = {
    time: (us) => (us < 1e3 ? `${us} µs` : us < 1e6 ? `${fixed(us / 1e3)} ms` : `${fixed(us / 1e6)} s`),
    count: (value) => (value >= 100 || value === Math.round(value) ? grouped(value) : fixed(value)),
    bytes: (value) => {
      const power = Math.min(3, Math.floor(Math.log2(Math.max(1, value)) / 10));
      return power === 0 ? `${value} B` : `${fixed(value / 1024 ** power)} ${["", "KiB", "MiB", "GiB"][power]}`;
    },
    share: (value) => `${(value * 100).toFixed(1)} %`,
  };
  const clock = (second) => {
    if (second < 120) return `${second} s`;
    const two = (part) => String(Math.floor(part)).padStart(2, "0");
    return second < 3600 ? `${Math.floor(second / 60)}:${two(second % 60)} min`
      : `${Math.floor(second / 3600)}:${two((second % 3600) / 60)}:${two(second % 60)} h`;
  };
  const healths = ["", "the load tester was late", "the load tester was saturated"];

  // Where a step lies along its axis, 0 to 1; and the other way round.
  const place = (axis, step) => (axis.kind === "time" ? (step + 0.5) / axis.steps : step / Math.max(1, axis.steps - 1));
  const stepAt = (axis, at) => {
    const step = axis.kind === "time" ? Math.floor(at * axis.steps) : Math.round(at * (axis.steps - 1));
    return Math.min(axis.steps - 1, Math.max(0, step));
  };
  const title = (axis, step) => {
    if (axis.kind === "time") {
      const from = step * axis.step;
      return axis.step === 1 ? clock(from) : `${clock(from)} to ${clock(from + axis.step)}`;
    }
    const slower = 10 ** -((step / Math.max(1, axis.steps - 1)) * axis.nines);
    return `${(100 * (1 - slower)).toFixed(Math.max(0, Math.ceil(-Math.log10(slower))))} % had it sooner`;
  };

  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  function show(stage, step, atPointer) {
    const plot = data.plots[stage.dataset.plot];
    const axis = data.axes[plot.axis];
    shown = { stage, step };
    const at = place(axis, step);
    for (const other of stages) {
      const same = data.plots[other.dataset.plot].axis === plot.axis;
      other.cross.hidden = !same;
      other.cross.style.left = `${at * 100}%`;
    }
    tip.replaceChildren(element("b", title(axis, step)));
    const phase = (axis.phases ?? []).find(([, from, to]) => at >= from && at < to);
    if (phase) tip.append(element("div", phase[0]));
    const health = axis.health ? healths[axis.health[step]] : "";
    if (health) tip.append(element("div", health));
    const off = new Set([...stage.parentElement.querySelectorAll('[aria-pressed="false"]')].map((one) => Number(one.dataset.series)));
    plot.series.forEach(([name, className, values], series) => {
      if (off.has(series)) return;
      const row = element("div");
      const value = values[step];
      row.append(element("i", "", className), element("span", name), element("span", value === null ? "–" : units[plot.unit](value)));
      tip.append(row);
    });
    tip.hidden = false;
    const box = stage.getBoundingClientRect();
    const x = box.left + at * box.width;
    const y = atPointer ?? box.top + 8;
    const left = x + 16 + tip.offsetWidth > innerWidth - 4 ? x - 16 - tip.offsetWidth : x + 16;
    tip.style.left = `${scrollX + Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${scrollY + Math.max(4, Math.min(y + 12, innerHeight - tip.offsetHeight - 8))}px`;
  }

  function hide() {
    shown = null;
    tip.hidden = true;
    for (const stage of stages) stage.cross.hidden = true;
  }

  for (const stage of stages) {
    const plot = data.plots[stage.dataset.plot];
    const axis = data.axes[plot.axis];
    stage.cross = element("div", undefined, "cross");
    stage.cross.hidden = true;
    const hit = element("div", undefined, "hit");
    hit.tabIndex = 0;
    hit.setAttribute("role", "application");
    hit.setAttribute("aria-label", `${stage.querySelector("title").textContent}: left and right arrows read the values`);
    stage.append(stage.cross, hit);
    const point = (event) => {
      const box = stage.getBoundingClientRect();
      show(stage, stepAt(axis, (event.clientX - box.left) / box.width), event.clientY);
    };
    hit.addEventListener("pointermove", point);
    hit.addEventListener("pointerdown", point);
    hit.addEventListener("pointerleave", hide);
    hit.addEventListener("blur", hide);
    hit.addEventListener("keydown", (event) => {
      const jump = event.shiftKey ? 10 : 1;
      const from = shown && shown.stage === stage ? shown.step : stepAt(axis, 0.5) - (event.key === "ArrowLeft" ? -jump : jump);
      const to = { ArrowLeft: from - jump, ArrowRight: from + jump, Home: 0, End: axis.steps - 1 }[event.key];
      if (event.key === "Escape") return hide();
      if (to === undefined) return;
      event.preventDefault();
      show(stage, Math.min(axis.steps - 1, Math.max(0, to)));
    });
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const off = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!off));
      const series = button.closest(".chart").querySelector(`.series[data-series="${button.dataset.series}"]`);
      series.classList.toggle("off", off);
    });
  }
  document.documentElement.dataset.script = "ready";
})();
