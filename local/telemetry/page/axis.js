// The time axis of the waterfall; long pauses are shortened.

const CUT = 0.1; // share of the width for each shortened pause
const LONGER_THAN = 2; // shorten a pause that is longer than this many times all the rest
const NICE = [1, 2, 5];

/** Make an axis over intervals [from, to] in milliseconds; `at` maps a time to 0..1, `cuts` are the shortened pauses. */
export function axis(intervals) {
  const busy = merged(intervals);
  const [from, to] = [busy[0][0], busy.at(-1)[1]];
  const pauses = busy.slice(1).map(([start], index) => [busy[index][1], start]);
  const cuts = worthCutting(pauses, Math.max(to - from, 1));
  const parts = segments(from, Math.max(to, from + 1), cuts);
  const at = (time) => {
    const part = parts.find((candidate) => time <= candidate.to) ?? parts.at(-1);
    const share = Math.min(Math.max((time - part.from) / (part.to - part.from), 0), 1);
    return part.start + share * part.width;
  };
  return { at, cuts, from, ticks: cuts.length > 0 ? startTicks(parts, at) : evenTicks(from, to, at) };
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

/** Ticks at the beginning of each part, for an axis with cuts. */
function startTicks(parts, at) {
  const ticks = [];
  for (const part of parts.filter(({ cut }) => !cut)) {
    const where = at(part.from);
    if (where < 0.9 && (ticks.length === 0 || where - ticks.at(-1).where > 0.16)) ticks.push({ where, after: part.from - parts[0].from });
  }
  return ticks;
}

/** At most five ticks at round numbers, for an axis without cuts. */
function evenTicks(from, to, at) {
  const whole = Math.max(to - from, 1);
  const power = 10 ** Math.floor(Math.log10(whole));
  const sizes = [power / 10, power].flatMap((unit) => NICE.map((nice) => nice * unit));
  const size = sizes.find((candidate) => whole / candidate < 5) ?? whole;
  return Array.from({ length: Math.floor(whole / size) + 1 }, (_, index) => ({
    where: at(from + index * size),
    after: index * size,
  })).filter((tick) => tick.where < 0.9); // its label is to the right of it
}
