/** From the JSON files of `hlsim bench` to a CSV file of points. */
import { z } from 'zod';
import { HlsimError } from '../../common/errors.ts';
import { spreadOf } from '../peers/statistics.ts';
import { type Launch, launchKey, POINT_BYTES_MIN, type Provider } from './plan.ts';

/** One time, of one size in one launch. */
export interface Sample {
  readonly launch: Launch;
  readonly bytes: number;
  readonly slice: number;
  readonly timeUs: number;
}

/** Of the file, what is used. */
const benchFile = z.object({
  results: z.array(
    z.object({
      size: z.int().positive(),
      slice_bytes: z.int().positive(),
      out_of_place: z.object({ time: z.number().positive() }),
    }),
  ),
});

/** Without sizes that are for warming up. @throws HlsimError `HLSIM_PROTOCOL_ERROR` for what is no result of `hlsim bench` */
export function samplesOf(launch: Launch, json: string): Sample[] {
  const parsed = benchFile.safeParse(JSON.parse(json));
  if (parsed.success) {
    const counted = parsed.data.results.filter(({ size }) => size >= POINT_BYTES_MIN);
    return counted.map(({ size, slice_bytes: slice, out_of_place: { time } }) => ({
      launch,
      bytes: size,
      slice,
      timeUs: time,
    }));
  }
  throw new HlsimError(
    'HLSIM_PROTOCOL_ERROR',
    `Expected the results of hlsim bench but found: ${z.prettifyError(parsed.error)}`,
  );
}

/** A line per launch and size, with the median of its samples, below `comments`. */
export function pointsCsv(
  samples: readonly Sample[],
  provider: Provider,
  comments: readonly string[],
): string {
  const own = samples.filter(({ launch }) => launch.provider === provider);
  const keys = [...new Set(own.map(keyOf))];
  const lines = keys.flatMap((key) => {
    const same = own.filter((sample) => keyOf(sample) === key);
    const [first] = same;
    const median = spreadOf(same.map(({ timeUs }) => timeUs))?.median;
    if (first === undefined || median === undefined) return [];
    const { collective, algorithm, ranks } = first.launch;
    return `${algorithm},${collective},${ranks},${first.bytes},${median.toFixed(1)},${first.slice}`;
  });
  return [...comments, 'algorithm,collective,ranks,size,time_us,slice', ...lines, ''].join('\n');
}

function keyOf({ launch, bytes }: Sample): string {
  return `${launchKey(launch)} ${bytes}`;
}
