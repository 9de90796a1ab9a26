/** A line of a chart. */
export interface Series {
  readonly name: string;
  /** In the order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** What {@link lineChart} draws. */
export interface LineChart {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Equal distances are equal factors; values of 0 are drawn at the lower edge. Default false. */
  readonly logarithmic?: boolean;
  /** A span of x with a grey ground. */
  readonly span?: { readonly from: number; readonly until: number; readonly name: string };
}

const WIDTH = 760;
const HEIGHT = 400;
const LEFT = 62;
const RIGHT = 190;
const TOP = 40;
const BOTTOM = 46;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;
/** Told apart by most who see colours otherwise (Okabe and Ito), with dashes besides. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#8c6d31'];
const DASHES = ['', '7 3', '2 2'];

/** Maps values to pixels. */
interface Axis {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** An SVG document, about 1 KiB for each hundred points. */
export function lineChart(chart: LineChart): string {
  const xs = chart.series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = chart.series.flatMap(({ points }) => points.map(([, y]) => y));
  const x = linear(Math.min(...xs), Math.max(...xs), (share) => LEFT + share * PLOT_WIDTH);
  const upwards = (share: number): number => TOP + (1 - share) * PLOT_HEIGHT;
  const y = chart.logarithmic === true ? logarithmic(ys, upwards) : fromZero(Math.max(...ys), upwards);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(chart.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, chart.title, 'font-size="15" font-weight="bold"'),
    ...span(chart, x),
    ...y.ticks.flatMap((tick) => [
      `<path d="M${LEFT} ${pixel(y.at(tick))}h${PLOT_WIDTH}" stroke="#ddd"/>`,
      text(LEFT - 6, y.at(tick) + 4, label(tick), 'text-anchor="end"'),
    ]),
    ...x.ticks.map((tick) => text(x.at(tick), HEIGHT - BOTTOM + 17, label(tick), 'text-anchor="middle"')),
    text(LEFT + PLOT_WIDTH / 2, HEIGHT - 10, chart.x, 'text-anchor="middle"'),
    `<g transform="rotate(-90)">${text(-TOP - PLOT_HEIGHT / 2, 14, chart.y, 'text-anchor="middle"')}</g>`,
    ...chart.series.flatMap((series, index) => line(series, index, x, y)),
    '</svg>',
    '',
  ].join('\n');
}

function span({ span: marked }: LineChart, x: Axis): readonly string[] {
  if (marked === undefined) return [];
  const from = x.at(marked.from);
  const width = pixel(x.at(marked.until) - from);
  return [
    `<rect x="${pixel(from)}" y="${TOP}" width="${width}" height="${PLOT_HEIGHT}" fill="#f1efe6"/>`,
    text(from + 4, TOP + 14, marked.name, 'fill="#777"'),
  ];
}

function line({ name, points }: Series, index: number, x: Axis, y: Axis): readonly string[] {
  const stroke = COLOURS[index % COLOURS.length];
  const dashes = DASHES[index % DASHES.length];
  const style = `stroke="${stroke}" stroke-width="2"${dashes === '' ? '' : ` stroke-dasharray="${dashes}"`}`;
  const path = points.map(([at, value]) => `${pixel(x.at(at))} ${pixel(y.at(value))}`).join('L');
  const legend = TOP + 10 + index * 20;
  return [
    `<path d="M${path}" fill="none" ${style}/>`,
    `<path d="M${WIDTH - RIGHT + 12} ${legend}h26" ${style}/>`,
    text(WIDTH - RIGHT + 44, legend + 4, name),
  ];
}

/** From `low` to `high`, with ticks at round values between them. */
function linear(low: number, high: number, toPixel: (share: number) => number): Axis {
  const step = niceStep((high - low) / 6);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first + 1;
  return {
    ticks: Array.from({ length: count }, (_, index) => (first + index) * step),
    at: (value) => toPixel((value - low) / (high - low)),
  };
}

/** From 0 to a round value. */
function fromZero(high: number, toPixel: (share: number) => number): Axis {
  const step = niceStep(high / 6);
  return linear(0, Math.max(1, Math.ceil(high / step - 1e-9)) * step, toPixel);
}

/** Between 1, 2 or 5 times powers of ten, with ticks at all of them; values of 0 are at the lower edge. */
function logarithmic(values: readonly number[], toPixel: (share: number) => number): Axis {
  const positive = values.filter((value) => value > 0);
  const low = niceBelow(Math.min(...positive));
  const high = Math.max(10 * low, niceStep(Math.max(...positive)));
  const ticks: number[] = [];
  for (let tick = low; tick <= high * (1 + 1e-9); tick = niceStep(tick * 1.5)) ticks.push(tick);
  return { ticks, at: (value) => toPixel(Math.max(0, Math.log(value / low) / Math.log(high / low))) };
}

/** 1, 2 or 5 times a power of ten, at most `value`. */
function niceBelow(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([5, 2, 1].find((factor) => factor * power <= value) ?? 1) * power;
}

/** 1, 2 or 5 times a power of ten, at least `raw`. */
function niceStep(raw: number): number {
  if (!(raw > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  return ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${pixel(x)}" y="${pixel(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(content)}</text>`;
}

function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Without the noise of binary fractions. */
function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { maximumSignificantDigits: 6 });
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
