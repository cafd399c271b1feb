/** Which rank is which card, or which box, makes no difference to what ranks that are alike stand for. */
import { describe, expect, it } from 'vitest';
import { algorithmsFor, type BuildRequest, buildSchedule } from '../../../collectives/table.ts';
import { defined } from '../../../common/assert.ts';
import { HlsimError } from '../../../common/errors.ts';
import { ranksOf } from '../../../common/math.ts';
import { Prng } from '../../../common/prng.ts';
import { predict } from '../../../timing/engine/predict.ts';
import type { LinkPlace, Network } from '../../../timing/network.ts';
import type { PredictionRequest } from '../../../timing/prediction.ts';
import { builtInTopology } from '../../../timing/topology/built-in.ts';
import { type NetworkOptions, networkOf } from '../../../timing/topology/network.ts';
import { evenCounts } from './schedules.ts';

/** Of each rank the one whose card it gets: any order that leaves the network's symmetry what it is. */
function renumbering({ nranks, symmetry, topology }: Network, prng: Prng): readonly number[] {
  const { boxes, ranksPerBox } = topology;
  if (symmetry === 'ranks' || symmetry === 'none') return prng.shuffle(ranksOf(nranks));
  const order = prng.shuffle(ranksOf(boxes));
  const inEveryBox = prng.shuffle(ranksOf(ranksPerBox));
  return order.flatMap((box) => {
    const cards = symmetry === 'boxes' ? inEveryBox : prng.shuffle(ranksOf(ranksPerBox));
    return cards.map((card) => box * ranksPerBox + card);
  });
}

/** The same hardware with other numbers. */
function renumbered(network: Network, cards: readonly number[]): Network {
  const { ranksPerBox } = network.topology;
  const card = (rank: number): number => defined(cards[rank], 'a card');
  const rank = (of: number): number => cards.indexOf(of);
  const placed = (place: LinkPlace): LinkPlace => {
    switch (place.at) {
      case 'pair':
        return { ...place, from: rank(place.from), to: rank(place.to) };
      case 'card':
        return { ...place, rank: rank(place.rank) };
      case 'box':
        return { ...place, box: Math.floor(rank(place.box * ranksPerBox) / ranksPerBox) };
      case 'network':
        return place;
    }
  };
  return {
    ...network,
    link: (number) => {
      const link = network.link(number);
      return { ...link, place: placed(link.place) };
    },
    route: (src, dst) => network.route(card(src), card(dst)),
    card: (number) => network.card(card(number)),
  };
}

const NETWORKS: readonly (readonly [topology: string, options: NetworkOptions])[] = [
  ['hls1', { boxes: 1 }],
  ['hls1', { boxes: 4 }],
  ['dl1', { boxes: 3 }],
  ['dl1', { boxes: 2, path: 'bounce' }],
  ['hls2', { boxes: 1 }],
  ['hls2', { boxes: 3 }],
  ['hls2', { boxes: 4, path: 'bounce' }],
  ['hls2', { boxes: 8 }],
  ['hls3', { boxes: 2 }],
  ['hls3', { boxes: 8 }],
  ['flat', { cards: 7 }],
  ['flat', { cards: 64 }],
  ['machine', { boxes: 6 }],
];

const WAYS: readonly Pick<BuildRequest, 'collective' | 'algorithm'>[] = [
  { collective: 'allReduce', algorithm: 'ring' },
  { collective: 'allReduce', algorithm: 'recursiveDoubling' },
  { collective: 'allReduce', algorithm: 'direct' },
  { collective: 'allReduce', algorithm: 'hccl' },
  { collective: 'allGather', algorithm: 'bruck' },
  { collective: 'reduceScatter', algorithm: 'pat' },
  { collective: 'allToAll', algorithm: 'pairwiseExchange' },
  { collective: 'allGather', algorithm: 'hierarchical(direct,recursiveDoubling)' },
];

const SIZES = [
  { elements: 1, sliceBytes: 1e6 },
  { elements: 3001, sliceBytes: 8192 },
];

function scheduleOf(way: (typeof WAYS)[number], { topology, nranks }: Network) {
  for (const chunks of [1, nranks]) {
    try {
      return buildSchedule({ ...way, topology, chunks });
    } catch (error) {
      if (!(error instanceof HlsimError)) throw error;
    }
  }
  return undefined;
}

function seconds(request: Omit<PredictionRequest, 'model'>): readonly [number, number] {
  const prediction = predict({ ...request, model: 'flow' });
  if (prediction.kind !== 'predicted') throw new Error(prediction.waiting.join());
  return [prediction.seconds, prediction.simulatedRanks];
}

describe('built-in networks with their boxes and cards in any order', () => {
  it('are asked about algorithms that there are', () => {
    for (const { collective, algorithm } of WAYS) {
      expect(algorithmsFor(collective)).toContain(algorithm.replace(/\(.*/, ''));
    }
  });

  it.each(NETWORKS)(
    '%s, %j: ranks that are alike give what all give, to the last bit',
    (name, options) => {
      const network = networkOf(builtInTopology(name), options);
      const prng = new Prng(network.nranks);
      let compared = 0;
      let saved = 0;
      for (const [index, way] of WAYS.entries()) {
        const work = scheduleOf(way, network);
        if (work?.alike === undefined) continue;
        const other = renumbered(network, renumbering(network, prng));
        const { elements, sliceBytes } = defined(SIZES[index % SIZES.length], 'a size');
        const counts = evenCounts(work, elements);
        const request = { work, counts, bytesPerElement: 4, network: other } as const;
        const execution = { sliceBytes, slotsPerConnection: 2 };
        const [exact, all] = seconds({ ...request, execution, ranks: 'exact' });
        const [alike, some] = seconds({ ...request, execution, ranks: 'alike' });
        expect(alike, `${way.collective} ${way.algorithm}`).toBe(exact);
        compared++;
        saved += all - some;
      }
      expect(compared).toBeGreaterThan(3);
      expect(saved).toBeGreaterThan(0);
    },
  );

  it('would be found out if one card were not like the others', () => {
    const network = networkOf(builtInTopology('flat'), { cards: 8 });
    const slow = (rank: number) => (rank === 3 ? { issueSeconds: 1e-3 } : {});
    const claiming = {
      ...network,
      card: (rank: number) => ({ ...network.card(rank), ...slow(rank) }),
    };
    const work = buildSchedule({
      ...{ collective: 'allReduce', algorithm: 'recursiveDoubling' },
      topology: network.topology,
    });
    const request = { work, counts: 8, bytesPerElement: 4, network: claiming } as const;
    const execution = { sliceBytes: 1e6, slotsPerConnection: 2 };
    const [exact] = seconds({ ...request, execution, ranks: 'exact' });
    const [alike] = seconds({ ...request, execution, ranks: 'alike' });
    expect(alike).not.toBe(exact);
  });
});
