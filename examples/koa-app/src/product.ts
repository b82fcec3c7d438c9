/** A product of the shop. */
export interface Product {
  readonly sku: string
  readonly title: string
  readonly about: string
  /** The price in cents. */
  readonly price: bigint
  /** The SVG path of its picture, on a grid of 24 by 24. */
  readonly picture: string
}

/** All products of the shop. */
export const products: readonly Product[] = [
  {
    sku: 'mug',
    title: 'Stoneware mug',
    about: 'Holds a quarter of a litre, and the warmth.',
    price: 1450n,
    picture: 'M5 8h11v8a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4zM16 10h2a2.5 2.5 0 0 1 0 5h-2M8 3v2M12 3v2',
  },
  {
    sku: 'teapot',
    title: 'Small teapot',
    about: 'Two cups, with a lid that stays on.',
    price: 3990n,
    picture:
      'M6 10h10v5a5 5 0 0 1-10 0zM16 12l4-3M6 12H4.5a2 2 0 0 0 0 4H6M8.5 10a2.5 2.5 0 0 1 5 0M11 6v1.5',
  },
  {
    sku: 'bowl',
    title: 'Breakfast bowl',
    about: 'Wide enough for porridge and plums.',
    price: 1875n,
    picture: 'M3 11h18a9 9 0 0 1-18 0zM9 20h6M8 7c0-2 2-1 2-3M13 7c0-2 2-1 2-3',
  },
  {
    sku: 'basket',
    title: 'Willow basket',
    about: 'Woven by hand, for bread or for wool.',
    price: 2800n,
    picture: 'M3 10h18l-2 10H5zM8 10l3-6M16 10l-3-6M9 13v4M12 13v4M15 13v4',
  },
  {
    sku: 'candle',
    title: 'Beeswax candle',
    about: 'Burns for thirty hours and smells of summer.',
    price: 990n,
    picture: 'M9 11h6v9H9zM12 11V8.5M12 3c2 2 2 4 0 5.5c-2-1.5-2-3.5 0-5.5zM6 20h12',
  },
  {
    sku: 'lamp',
    title: 'Reading lamp',
    about: 'A small pool of light for one chair.',
    price: 6450n,
    picture: 'M8 4h8l3 8H5zM12 12v8M8 20h8',
  },
  {
    sku: 'cushion',
    title: 'Linen cushion',
    about: 'Filled with feathers, buttoned at the back.',
    price: 3425n,
    picture: 'M5 5c4 1 10 1 14 0c-1 4-1 10 0 14c-4-1-10-1-14 0c1-4 1-10 0-14zM12 12h.01',
  },
  {
    sku: 'clock',
    title: 'Wall clock',
    about: 'Quiet. You will not hear it tick.',
    price: 5200n,
    picture: 'M12 4a8 8 0 1 0 0 16a8 8 0 0 0 0-16zM12 8v4l3 2',
  },
  {
    sku: 'fern',
    title: 'Potted fern',
    about: 'Forgives a week without water.',
    price: 1299n,
    picture: 'M8 15h8l-1 6H9zM12 15V9M12 12c-4 0-5-3-5-6c4 0 5 3 5 6zM12 10c0-3 2-5 5-5c0 3-2 5-5 5z',
  },
  {
    sku: 'notebook',
    title: 'Dotted notebook',
    about: 'A hundred and sixty pages that lie flat.',
    price: 1150n,
    picture: 'M6 3h12v18H6zM9 3v18M12 8h3M12 11h3',
  },
  {
    sku: 'pencils',
    title: 'Five pencils',
    about: 'From 2H to 4B, in a tin.',
    price: 725n,
    picture: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  },
  {
    sku: 'cards',
    title: 'Ten postcards',
    about: 'Of places we would like to be.',
    price: 680n,
    picture: 'M3 6h18v12H3zM3 6l9 7l9-7',
  },
]

/** The product with this number, if there is one. */
export function findProduct(sku: string | undefined): Product | undefined {
  return products.find((product) => product.sku === sku)
}
