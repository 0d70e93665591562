/** The highest feature level that this build applies. Raised together with what it brings. */
export const featureLevelMax = 1;

/** What a machine has active from its first entry. */
export const featureLevelMin = 1;
