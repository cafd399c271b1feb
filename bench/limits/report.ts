/** The limits for people: rates of the machine, then how near hlsim comes to each bound. */
import { formatBytes } from '../../common/bytes.ts';
import { CONTESTANT_TITLES } from '../peers/contestants.ts';
import { spreadOf } from '../peers/statistics.ts';
import type { Fraction, RoundFigures } from './fractions.ts';
import { limitKey, REGION_BYTES, REGION_LIMITS, type RegionLimit } from './plan.ts';

const TITLE_WIDTH = 40;
const SPREAD_WIDTH = 20;
const BYTES_PER_GB = 1e9;
const NAME_WIDTH = 44;

/** Bytes of the region through the time, whatever is done to them. */
export function rateLines(rounds: readonly RoundFigures[]): readonly string[] {
  const limits = Object.keys(REGION_LIMITS) as RegionLimit[];
  return [
    `${formatBytes(REGION_BYTES)} at once, GB/s, median [range] of the rounds`,
    ...limits.map((limit) => {
      const key = limitKey({ limit, ranks: 1, bytes: REGION_BYTES });
      const rates = rounds.flatMap((figures) => {
        const timeUs = figures.get(key);
        return timeUs === undefined ? [] : [(REGION_BYTES / BYTES_PER_GB / timeUs) * 1e6];
      });
      const spread = spreadOf(rates);
      const text =
        spread === undefined
          ? 'not measured'
          : `${spread.median.toFixed(2)} [${spread.min.toFixed(2)}-${spread.max.toFixed(2)}]`;
      return `${REGION_LIMITS[limit].padEnd(TITLE_WIDTH)} ${text.padStart(SPREAD_WIDTH)}`;
    }),
  ];
}

export function fractionLines(fractions: readonly Fraction[]): readonly string[] {
  return [
    "hlsim's fraction of each bound (bound's time / hlsim's), median [range] of the rounds",
    ...fractions.map((one) => {
      const { hlsim, collective, ranks, bytes, bound, hlsimUs, boundUs } = one;
      const size = formatBytes(bytes);
      const name = `${CONTESTANT_TITLES[hlsim]} ${collective} ${ranks} ranks ${size}`;
      const times = `${hlsimUs.median.toFixed(0)} us, bound ${boundUs.median.toFixed(0)} us`;
      return `${name.padEnd(NAME_WIDTH)} ${fractionText(one)}  ${times} (${bound.title})`;
    }),
  ];
}

function fractionText({ fraction, floor, met }: Fraction): string {
  const { median, min, max } = fraction;
  const measured = `${median.toFixed(2)} [${min.toFixed(2)}-${max.toFixed(2)}]`;
  const verdict = floor === null ? '' : ` >=${floor} ${met === true ? 'met' : 'MISSED'}`;
  return (measured + verdict).padEnd(SPREAD_WIDTH + 8);
}
