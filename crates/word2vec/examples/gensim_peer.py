"""The peer of `compare.rs`: gensim's skip-gram with the same settings, measured on the same sets, as one JSON line.

Usage: gensim_peer.py CORPUS EPOCHS THREADS EVALUATION_SETS      (gensim 4.4.0)

Seconds run from before the text is read to after the last epoch, as ours do: gensim's vocabulary scan is one of its passes over the text.
Analogies are counted by gensim itself, over the 30,000 most frequent words.
"""

import json
import os
import sys
import time

from gensim.models import Word2Vec
from gensim.models.word2vec import Text8Corpus


def ranks(values):
    """Mean ranks, ties sharing theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            result[place] = (start + end - 1) / 2
        start = end
    return result


def spearman(first, second):
    """Pearson's correlation of the ranks."""
    a, b = ranks(first), ranks(second)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
    spread = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return covariance / spread**0.5


def similarity(vectors, path):
    """Spearman's correlation of cosine and human judgement over the pairs that are known."""
    human, ours = [], []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            parts = line.lower().split()
            if len(parts) == 3 and parts[0] in vectors and parts[1] in vectors:
                human.append(float(parts[2]))
                ours.append(float(vectors.similarity(parts[0], parts[1])))
    return spearman(human, ours)


def main():
    corpus, epochs, threads, sets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    start = time.perf_counter()
    model = Word2Vec(
        Text8Corpus(corpus), vector_size=50, window=5, min_count=3, max_final_vocab=None, sg=1, negative=8, sample=1e-4,
        epochs=epochs, workers=threads, seed=1,
    )
    seconds = time.perf_counter() - start
    # Over all questions: the sections, without the total that gensim puts last.
    _, sections = model.wv.evaluate_word_analogies(
        os.path.join(sets, "analogy", "questions-words.txt"), restrict_vocab=30_000, case_insensitive=True
    )
    correct = sum(len(section["correct"]) for section in sections[:-1])
    asked = correct + sum(len(section["incorrect"]) for section in sections[:-1])
    print(json.dumps({
        "program": "gensim",
        "words_per_second": round(model.corpus_total_words * epochs / seconds),
        "seconds": round(seconds, 1),
        "vocabulary": len(model.wv),
        "ws353": similarity(model.wv, os.path.join(sets, "word-sim", "EN-WS-353-ALL.txt")),
        "analogies": correct / asked,
        "analogies_correct": correct,
        "analogies_total": asked,
    }))


if __name__ == "__main__":
    main()
