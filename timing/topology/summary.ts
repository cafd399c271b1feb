/** What a topology has, in a few lines: for tables and pictures. */
import type { Parameter } from '../network.ts';
import { type HowMany, kindsOfBoxes } from './box-kinds.ts';
import type { LinkSpec, TopologyFile } from './file.ts';
import { Layout, linkRate } from './layout.ts';
import { type ParameterOverrides, ParameterValues } from './values.ts';

export interface BoxSummary {
  readonly kind: string;
  readonly count: number;
  /** In one box, by kind. */
  readonly cards: readonly { readonly kind: string; readonly count: number }[];
}

/** All links of one line of the file. */
export interface LinkSummary {
  readonly kind: string;
  /** Kind of the boxes that it is in; undefined: between the boxes. */
  readonly box: string | undefined;
  readonly from: string;
  readonly to: string;
  /** In all boxes; with the parallel cables of each counted as one. */
  readonly count: number;
  readonly ports: number;
  readonly duplex: LinkSpec['duplex'];
  /** Of all parallel cables together, one direction. */
  readonly bytesPerSecond: number;
  readonly latencySeconds: number;
}

export interface SwitchSummary {
  readonly name: string;
  readonly count: number;
  /** Of what comes in, what can go out; undefined: it does not block. */
  readonly taper: number | undefined;
}

export interface TopologySummary {
  readonly name: string;
  readonly description: string | undefined;
  readonly cards: number;
  readonly boxes: readonly BoxSummary[];
  readonly switches: readonly SwitchSummary[];
  readonly links: readonly LinkSummary[];
  /** All of the file. */
  readonly parameters: readonly Parameter[];
}

export interface SummaryOptions extends HowMany {
  readonly overrides?: ParameterOverrides | undefined;
}

/** @throws HlsimError `HLSIM_TOPOLOGY_IMPOSSIBLE`, as `networkOf` */
export function summaryOf(file: TopologyFile, options: SummaryOptions = {}): TopologySummary {
  const values = new ParameterValues(file, options.overrides ?? {});
  const layout = new Layout(file, kindsOfBoxes(file, options));
  const kindCounts = new Map<string, number>();
  for (let box = 0; box < layout.boxes; box += 1) {
    const { kind } = layout.template(box);
    kindCounts.set(kind, (kindCounts.get(kind) ?? 0) + 1);
  }
  return {
    name: file.name,
    description: file.description,
    cards: layout.cards,
    boxes: [...kindCounts].map(([kind, count]) => ({
      kind,
      count,
      cards: file.boxKinds[kind]?.cards ?? [],
    })),
    switches: switchesOf(layout, values),
    links: linksOf(layout, values, kindCounts),
    parameters: Object.keys(file.parameters).map((name) => values.parameter(name)),
  };
}

function switchesOf(layout: Layout, values: ParameterValues): SwitchSummary[] {
  return Object.entries(layout.file.switches).map(([name, { taper }]) => {
    const share = taper === undefined ? 1 : values.taper(taper);
    const count = layout.switches.filter(({ set }) => set === name).length;
    return { name, count, taper: share < 1 ? share : undefined };
  });
}

function linksOf(
  layout: Layout,
  values: ParameterValues,
  kindCounts: ReadonlyMap<string, number>,
): LinkSummary[] {
  const { file, templates, outerLinks } = layout;
  const summary = (spec: LinkSpec, box: string | undefined, count: number): LinkSummary => ({
    kind: spec.kind,
    box,
    from: spec.from,
    to: spec.to,
    count: spec.duplex === 'full' ? count / 2 : count,
    ports: spec.ports,
    duplex: spec.duplex,
    bytesPerSecond: linkRate(spec, values),
    latencySeconds: values.time(spec.latency),
  });
  const inside = templates.flatMap(({ kind, links }) =>
    (file.boxKinds[kind]?.links ?? []).map((spec) => {
      const count = links.filter((link) => link.spec === spec).length;
      return summary(spec, kind, count * (kindCounts.get(kind) ?? 0));
    }),
  );
  const outside = file.links.map((spec) =>
    summary(spec, undefined, outerLinks.filter((link) => link.spec === spec).length),
  );
  return [...inside, ...outside];
}
