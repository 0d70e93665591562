/** Whatever matters can print itself as one line of text, for golden tests, the CLI, logs and dashboards. */
export interface Describable {
  describe(): string;
}
