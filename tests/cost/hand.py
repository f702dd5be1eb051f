"""The cost of the definition, added up product by product: the ground the counters stand on."""


def by_hand(n_q, n_k, d, h):
    d_k = d // h
    queries = 2 * n_q * d * d
    keys_and_values = 2 * (2 * n_k * d * d)
    scores_and_context = h * (2 * n_q * d_k * n_k + 2 * n_q * n_k * d_k)
    return queries + keys_and_values + scores_and_context + 2 * n_q * d * d
