// Small charts in SVG, drawn anew at every refresh: lines over time, or columns.
// They are read with the pointer or, focused, with the arrow keys; Home and End jump.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 150;
const LEFT = 44;
const BOTTOM = 20;
const TOP = 8;

const node = (name, attributes, text = "") => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

// The least round number (1, 2 or 5 times a power of ten) that is not below the value.
export function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

export class Chart {
  // series: [{name, of: (point) => number|null}], one or two; format: (number) => text
  constructor({ title, series, format, columns = false }) {
    this.title = title;
    this.series = series;
    this.format = format;
    this.columns = columns;
    this.points = [];
    this.at = null; // index of the point that is read
    this.element = document.createElement("div");
    this.element.className = "chart";
    const heading = document.createElement("h3");
    heading.textContent = title;
    this.legend = document.createElement("p");
    this.legend.className = "legend";
    this.svg = node("svg", { role: "img", tabindex: "0" });
    this.element.append(heading, this.legend, this.svg);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.read(null));
    this.svg.addEventListener("blur", () => this.read(null));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  show(points) {
    this.points = points;
    this.draw();
  }

  get width() {
    return Math.max(this.svg.clientWidth, 200);
  }

  x(index) {
    const room = this.width - LEFT - 8;
    const count = this.points.length;
    return LEFT + (this.columns ? (index + 0.5) / count : index / Math.max(1, count - 1)) * room;
  }

  y(value) {
    return HEIGHT - BOTTOM - (value / this.top) * (HEIGHT - BOTTOM - TOP);
  }

  draw() {
    if (!this.points.length) return;
    const values = this.series.map(({ of }) => this.points.map(of));
    const heights = this.columns
      ? this.points.map((_, index) => values.reduce((sum, each) => sum + (each[index] ?? 0), 0))
      : values.flat();
    this.top = roundUp(Math.max(...heights.map((value) => value ?? 0)));
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.svg.setAttribute("aria-label", this.spoken(values));
    this.svg.replaceChildren(
      ...this.axes(),
      ...(this.columns ? this.bars(values) : values.flatMap((each, n) => this.lines(each, n))),
    );
    if (this.at !== null) this.svg.append(this.cursor());
    this.tell(values);
  }

  axes() {
    const end = this.width - 8;
    const made = [0, 0.5, 1].flatMap((share) => {
      const y = this.y(share * this.top);
      return [
        node("line", { class: "axis", x1: LEFT, x2: end, y1: y, y2: y }),
        node("text", { class: "tick", x: LEFT - 6, y: y + 4, "text-anchor": "end" },
          this.format(share * this.top)),
      ];
    });
    const last = this.points.length - 1;
    for (const [index, anchor] of [[0, "start"], [Math.round(last / 2), "middle"], [last, "end"]]) {
      const at = { class: "tick", x: this.x(index), y: HEIGHT - 4, "text-anchor": anchor };
      made.push(node("text", at, clock(this.points[index].at_s)));
    }
    return made;
  }

  lines(values, n) {
    const kind = n ? " second" : "";
    const made = [];
    for (const run of runs(values)) {
      const path = run.map((index) => `${this.x(index)},${this.y(values[index])}`).join(" L");
      const base = this.y(0);
      const [from, to] = [this.x(run[0]), this.x(run.at(-1))];
      made.push(node("path", { class: `area${kind}`, d: `M${from},${base} L${path} L${to},${base}Z` }));
      made.push(node("path", { class: `line${kind}`, d: `M${path}${run.length > 1 ? "" : " h0.01"}` }));
    }
    return made;
  }

  bars(values) {
    const width = Math.max(1, (0.7 * (this.width - LEFT - 8)) / this.points.length);
    return this.points.flatMap((_, index) => {
      let below = 0;
      return values.flatMap((each, n) => {
        const value = each[index] ?? 0;
        if (!value) return [];
        const [y, base] = [this.y(below + value), this.y(below)];
        below += value;
        const x = this.x(index) - width / 2;
        return [node("rect", { class: `column${n ? " second" : ""}`, x, y, width, height: base - y })];
      });
    });
  }

  cursor() {
    const x = this.x(this.at);
    return node("line", { class: "cursor", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM });
  }

  tell(values) {
    const at = this.at ?? Math.max(0, this.points.length - 2); // the last one is not over yet
    const parts = this.series.map(({ name }, n) => {
      const key = document.createElement("span");
      key.className = `key${n ? " second" : ""}`;
      const part = document.createElement("span");
      part.append(key, `${name} ${shown(values[n][at], this.format)}`);
      return part;
    });
    const when = document.createElement("span");
    when.textContent = `at ${clock(this.points[at].at_s)}`;
    this.legend.replaceChildren(...parts, when);
  }

  spoken(values) {
    const parts = this.series.map(({ name }, n) => {
      const known = values[n].filter((value) => value !== null);
      if (!known.length) return `${name}: nothing yet`;
      return `${name}: lately ${shown(values[n].at(-2), this.format)}, most ${this.format(Math.max(...known))}`;
    });
    return `${this.title}. ${parts.join("; ")}.`;
  }

  point(event) {
    const { left } = this.svg.getBoundingClientRect();
    const share = (event.clientX - left - LEFT) / (this.width - LEFT - 8);
    const last = this.points.length - 1;
    this.read(Math.min(last, Math.max(0, Math.round(share * last))));
  }

  step(event) {
    const last = this.points.length - 1;
    const at = this.at ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.read(Math.min(last, Math.max(0, to)));
  }

  read(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
  }
}

const clock = (atS) =>
  new Date(1000 * atS).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

const shown = (value, format) => (value === null || value === undefined ? "–" : format(value));

// The stretches of a series without gaps, as lists of indexes.
function runs(values) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null || value === undefined) return;
    if (index && found.length && found.at(-1).at(-1) === index - 1) found.at(-1).push(index);
    else found.push([index]);
  });
  return found;
}
