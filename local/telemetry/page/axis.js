// Where on the waterfall's line a time is; long times in which nothing ran are cut short.

const CUT = 0.1; // of the width, for each pause that is cut
const LONGER_THAN = 2; // times everything else together
const NICE = [1, 2, 5];

/** An axis over intervals [from, to] in milliseconds; `at` maps a time to 0..1, `cuts` are the pauses, `ticks` the marks. */
export function axis(intervals) {
  const busy = merged(intervals);
  const [from, to] = [busy[0][0], busy.at(-1)[1]];
  const pauses = busy.slice(1).map(([start], index) => [busy[index][1], start]);
  const cuts = worthCutting(pauses, Math.max(to - from, 1));
  const parts = segments(from, Math.max(to, from + 1), cuts);
  const at = (time) => {
    const part = parts.find((one) => time <= one.to) ?? parts.at(-1);
    const share = Math.min(Math.max((time - part.from) / (part.to - part.from), 0), 1);
    return part.start + share * part.width;
  };
  return { at, cuts, from, ticks: cuts.length > 0 ? begins(parts, at) : even(from, to, at) };
}

function merged(intervals) {
  const result = [];
  for (const [from, to] of [...intervals].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

function worthCutting(pauses, whole) {
  const long = [...pauses].sort((a, b) => b[1] - b[0] - (a[1] - a[0]));
  const cuts = [];
  let rest = whole;
  for (const pause of long.slice(0, 4)) {
    const length = pause[1] - pause[0];
    if (length < 1000 || length < LONGER_THAN * (rest - length)) break;
    cuts.push(pause);
    rest -= length;
  }
  return cuts.sort((a, b) => a[0] - b[0]);
}

function segments(from, to, cuts) {
  const marks = [from, ...cuts.flat(), to];
  const shown = to - from - cuts.reduce((sum, [start, end]) => sum + end - start, 0);
  const scale = (1 - CUT * cuts.length) / Math.max(shown, 1);
  let start = 0;
  return marks.slice(1).map((end, index) => {
    const cut = index % 2 === 1;
    const part = { from: marks[index], to: Math.max(end, marks[index] + 0.001), start, cut };
    part.width = cut ? CUT : (end - marks[index]) * scale;
    start += part.width;
    return part;
  });
}

/** With cuts: where each part begins. */
function begins(parts, at) {
  const ticks = [];
  for (const part of parts.filter((one) => !one.cut)) {
    const where = at(part.from);
    if (where < 0.9 && (ticks.length === 0 || where - ticks.at(-1).where > 0.16)) ticks.push({ where, after: part.from - parts[0].from });
  }
  return ticks;
}

/** Without: at most five, at round numbers. */
function even(from, to, at) {
  const whole = Math.max(to - from, 1);
  const power = 10 ** Math.floor(Math.log10(whole));
  const sizes = [power / 10, power].flatMap((one) => NICE.map((nice) => nice * one));
  const size = sizes.find((one) => whole / one < 5) ?? whole;
  return Array.from({ length: Math.floor(whole / size) + 1 }, (_, index) => ({
    where: at(from + index * size),
    after: index * size,
  })).filter((tick) => tick.where < 0.9); // its words stand to the right of it
}
