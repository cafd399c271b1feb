/** What pictures of topologies look like, on light and on dark surroundings. */

/** Of the kinds of links, in the order in which they come; with dashes for eyes that do not tell colours apart. */
export const LINK_LOOKS = [
  { light: '#2f6fd0', dark: '#79aef5', dashes: '' },
  { light: '#c2571a', dark: '#f19a5b', dashes: '' },
  { light: '#3f8a4a', dark: '#6cc07a', dashes: '6 3' },
  { light: '#8250df', dark: '#b99af5', dashes: '2 3' },
  { light: '#b3296f', dark: '#ef86b8', dashes: '8 3 2 3' },
  { light: '#87700c', dark: '#d4b93c', dashes: '10 4' },
] as const;

const SHAPES = `text{font:12px ui-monospace,Menlo,Consolas,monospace}
.title{font-size:18px;font-weight:bold}.name,.rate{text-anchor:middle}.rate{font-size:11px}
.card,.node,.switch,.box,.more{stroke-width:1.2}.absent{stroke-dasharray:3 3}.link{fill:none;opacity:.85}`;

const LIGHT = `.ground{fill:#ffffff}.title,.name{fill:#1b1f24}.label,.rate{fill:#59636e}
.box{fill:#f6f8fa;stroke:#c8cfd6}.card{fill:#dcecff;stroke:#2f6fd0}.absent{fill:#f6f8fa;stroke:#a3adb8}
.node{fill:#ffffff;stroke:#8c959f}.switch{fill:#fff1c9;stroke:#c7a43a}.more{fill:none;stroke:#c8cfd6}.halo{fill:#ffffff;opacity:.82}`;

const DARK = `.ground{fill:#15191e}.title,.name{fill:#e8ecf0}.label,.rate{fill:#a3adb8}
.box{fill:#1d232a;stroke:#46505a}.card{fill:#173354;stroke:#79aef5}.absent{fill:#1d232a;stroke:#6b7682}
.node{fill:#15191e;stroke:#8c959f}.switch{fill:#4a3c10;stroke:#b59533}.more{fill:none;stroke:#46505a}.halo{fill:#15191e;opacity:.82}`;

function linkStyle(colour: 'light' | 'dark'): string {
  return LINK_LOOKS.map((look, index) => `.link${index}{stroke:${look[colour]}}`).join('');
}

const DASHES = LINK_LOOKS.map(({ dashes }, index) =>
  dashes === '' ? '' : `.link${index}{stroke-dasharray:${dashes}}`,
).join('');

export const TOPOLOGY_STYLE = `
${SHAPES}
${DASHES}
${LIGHT}${linkStyle('light')}
@media (prefers-color-scheme:dark){${DARK}${linkStyle('dark')}}
`;
