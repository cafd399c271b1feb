/** What pictures look like, on light and on dark surroundings, and text that is safe in them. */

const LIGHT = `.ground{fill:#ffffff}.title,.rank,.holds{fill:#1b1f24}.label,.buffer{fill:#59636e}
.empty{fill:#f6f8fa;stroke:#c8cfd6}.some{fill:#fff1c9;stroke:#c7a43a}.whole{fill:#cdeccf;stroke:#4f9a58}
.copy{stroke:#2f6fd0}.copy-head{fill:#2f6fd0}.reduce{stroke:#c2571a}.reduce-head{fill:#c2571a}`;

const DARK = `.ground{fill:#15191e}.title,.rank,.holds{fill:#e8ecf0}.label,.buffer{fill:#a3adb8}
.empty{fill:#1d232a;stroke:#46505a}.some{fill:#4a3c10;stroke:#b59533}.whole{fill:#1c4425;stroke:#58a765}
.copy{stroke:#79aef5}.copy-head{fill:#79aef5}.reduce{stroke:#f19a5b}.reduce-head{fill:#f19a5b}`;

/** The reduction's arrows are dashed too, for eyes that do not tell the colours apart. */
const SHAPES = `text{font:12px ui-monospace,Menlo,Consolas,monospace}
.title{font-size:14px;font-weight:bold}.buffer{font-size:9px}.rank,.holds{text-anchor:middle}
line{stroke-width:1.5}.reduce{stroke-dasharray:5 3}.local{stroke-width:1;opacity:.6}`;

export const PICTURE_STYLE = `
${SHAPES}
${LIGHT}
@media (prefers-color-scheme:dark){${DARK}}
`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** For text and for attribute values in double quotes. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
