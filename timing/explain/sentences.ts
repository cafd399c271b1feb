/** The critical path told in sentences: who held everybody up, with what, for how long. */
import { formatBytes } from '../../common/bytes.ts';
import type { Activity, Span } from '../prediction.ts';
import { formatTime } from '../topology/quantities.ts';
import { breakdownOf } from './breakdown.ts';

/** Consecutive pieces of the path that are one thing to a person: what one rank does for one peer. */
interface Episode {
  readonly first: Span;
  last: Span;
  /** `step.slice` of each piece. */
  readonly slices: Set<string>;
  bytes: number;
  readonly seconds: Map<Activity, number>;
  linkKinds: Set<string>;
  peer: number | undefined;
}

/** More than people read. */
export const SENTENCES_MAX = 24;

/** At most `limit` sentences, first one first; of a longer path the middle is summed up in one. */
export function sentencesOf(path: readonly Span[], limit = SENTENCES_MAX): readonly string[] {
  const episodes = episodesOf(path);
  if (episodes.length <= limit) return episodes.map(sentenceOf);
  const before = Math.floor((limit - 1) / 2);
  const after = limit - 1 - before;
  const head = episodes.slice(0, before);
  const tail = episodes.slice(-after);
  const [from, to] = [head.at(-1)?.last.endSeconds ?? 0, tail[0]?.first.beginSeconds ?? 0];
  return [
    ...head.map(sentenceOf),
    middleSentence(path, from, to, episodes.length - limit + 1),
  ].concat(tail.map(sentenceOf));
}

function episodesOf(path: readonly Span[]): Episode[] {
  const episodes: Episode[] = [];
  for (const span of path) {
    const current = episodes.at(-1);
    if (current !== undefined && belongs(current, span)) extend(current, span);
    else episodes.push(extend(emptyEpisode(span), span));
  }
  return episodes;
}

function emptyEpisode(first: Span): Episode {
  return {
    first,
    last: first,
    slices: new Set(),
    bytes: 0,
    seconds: new Map(),
    linkKinds: new Set(),
    peer: undefined,
  };
}

/** Of the same channel, and to the same peer if to any. */
function belongs({ first, peer }: Episode, span: Span): boolean {
  return (
    span.rank === first.rank &&
    span.channel === first.channel &&
    (peer === undefined || span.peer === undefined || span.peer === peer)
  );
}

function extend(episode: Episode, span: Span): Episode {
  const { activity, beginSeconds, endSeconds, step, slice, bytes } = span;
  episode.last = span;
  episode.seconds.set(activity, (episode.seconds.get(activity) ?? 0) + endSeconds - beginSeconds);
  const name = `${step}.${slice}`;
  if (!episode.slices.has(name)) {
    episode.slices.add(name);
    episode.bytes += bytes;
  }
  if (activity === 'link' && span.linkKind !== undefined) episode.linkKinds.add(span.linkKind);
  episode.peer ??= span.peer;
  return episode;
}

const PHRASES: readonly (readonly [Activity, (episode: Episode) => string])[] = [
  ['issue', () => 'issued in'],
  ['waiting', () => 'waited'],
  ['reduction', () => 'reduced in'],
  ['copy', () => 'copied in'],
  ['link', ({ linkKinds }) => `on ${[...linkKinds].join(', ')} for`],
  ['latency', () => 'latency'],
];

function sentenceOf(episode: Episode): string {
  const { first, last, peer, bytes, seconds } = episode;
  const goal = peer === undefined ? '' : ` to rank ${peer}`;
  const parts = PHRASES.flatMap(([activity, phrase]) => {
    const spent = seconds.get(activity) ?? 0;
    return spent === 0 ? [] : [`${phrase(episode)} ${formatTime(spent)}`];
  });
  return (
    `${spanText(first.beginSeconds, last.endSeconds)}: rank ${first.rank}, ${stepsText(episode)}, ` +
    `${formatBytes(bytes)}${goal}: ${parts.join(', ') || 'no time'}`
  );
}

/** `step 0.3`, `step 0.3 slice 2`, `steps 0.3 to 0.7 (12 slices)`: channel, step, and slices if there are several. */
function stepsText({ first, last, slices }: Episode): string {
  const { channel } = first;
  if (first.step !== last.step) {
    return `steps ${channel}.${first.step} to ${channel}.${last.step} (${slices.size} slices)`;
  }
  const step = `step ${channel}.${first.step}`;
  if (slices.size > 1) return `${step} (${slices.size} slices)`;
  return first.slice === 0 ? step : `${step} slice ${first.slice}`;
}

function middleSentence(path: readonly Span[], from: number, to: number, count: number): string {
  const inside = path.filter(
    ({ beginSeconds, endSeconds }) => beginSeconds >= from && endSeconds <= to,
  );
  const shifted = inside.map((span) => ({
    ...span,
    beginSeconds: span.beginSeconds - from,
    endSeconds: span.endSeconds - from,
  }));
  const parts = breakdownOf(shifted).map(({ name, seconds }) => `${name} ${formatTime(seconds)}`);
  return `${spanText(from, to)}: ${count} more pieces: ${parts.join(', ')}`;
}

function spanText(from: number, to: number): string {
  return `${formatTime(from)} to ${formatTime(to)}`;
}
