// Some pictures may not be for everybody: they are covered until somebody uncovers them.

const uncovered = new Set(); // addresses, until the page is loaded anew

export const isCovered = (picture) =>
  Boolean(picture.is_covered) && !uncovered.has(picture.url);

export const uncover = (picture) => uncovered.add(picture.url);

export const COVERED = "May not be for everybody";
