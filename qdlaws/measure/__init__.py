"""Quality, diversity and entropy of samples, measured with standard errors.

Every measure takes plain lists or arrays of anybody's samples and gives an :class:`Estimate`:
a value, its standard error, and the kind of number it is, so that only like is compared with like.
The module is light to import: rdkit is loaded when molecules are measured, torch when an
equivalence is learned (``equivalence/learned.py``).
"""

from qdlaws.measure.entropy import (
    convert_entropy,
    sequence_entropy,
    sequence_nll,
    token_entropies,
    token_entropy,
    token_entropy_mean,
    token_nll,
)
from qdlaws.measure.equivalence.classes import (
    distinct_classes,
    distinct_k,
    partition,
    sample_diversity,
)
from qdlaws.measure.equivalence.learned import LearnedPartition, PartitionConfig, train_partition
from qdlaws.measure.equivalence.pairs import PartitionReport
from qdlaws.measure.equivalence.relations import (
    Equivalence,
    by_key,
    canonical,
    embedding_threshold,
    exact,
    normalised,
    same_scaffold,
    short_texts,
    tanimoto_threshold,
    word_overlap,
)
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.molecule.diversity import (
    Scaffolds,
    circles,
    internal_diversity,
    reference_distance,
    scaffolds,
    unique_share,
    valid_share,
)
from qdlaws.measure.molecule.fingerprints import Fingerprints, Molecules, read_molecules
from qdlaws.measure.molecule.tanimoto import isim, tanimoto_matrix, tanimoto_mean, tanimoto_sampled
from qdlaws.measure.quality import (
    best_of_n,
    maj_at_k,
    mean_at_k,
    mean_score,
    pass_at_k,
    pass_curve,
)
from qdlaws.measure.record import samples
from qdlaws.measure.standard_errors import pairwise_mean, rarefied
from qdlaws.measure.text.diversity import (
    distinct_n,
    ead,
    edit_diversity,
    embedding_diversity,
    embedding_vendi,
    ngram_distances,
    ngram_diversity,
)
from qdlaws.measure.text.self_bleu import self_bleu, self_bleu_scores
from qdlaws.measure.text.tokens import Tokens, tokenise
from qdlaws.measure.vendi_score import vendi, vendi_features

__all__ = [
    "Equivalence",
    "Estimate",
    "Fingerprints",
    "LearnedPartition",
    "Molecules",
    "PartitionConfig",
    "PartitionReport",
    "Scaffolds",
    "Tokens",
    "best_of_n",
    "by_key",
    "canonical",
    "circles",
    "convert_entropy",
    "distinct_classes",
    "distinct_k",
    "distinct_n",
    "ead",
    "edit_diversity",
    "embedding_diversity",
    "embedding_threshold",
    "embedding_vendi",
    "exact",
    "internal_diversity",
    "isim",
    "maj_at_k",
    "mean_at_k",
    "mean_score",
    "ngram_distances",
    "ngram_diversity",
    "normalised",
    "pairwise_mean",
    "partition",
    "pass_at_k",
    "pass_curve",
    "rarefied",
    "read_molecules",
    "reference_distance",
    "same_scaffold",
    "sample_diversity",
    "samples",
    "scaffolds",
    "self_bleu",
    "self_bleu_scores",
    "sequence_entropy",
    "sequence_nll",
    "short_texts",
    "tanimoto_matrix",
    "tanimoto_mean",
    "tanimoto_sampled",
    "tanimoto_threshold",
    "token_entropies",
    "token_entropy",
    "token_entropy_mean",
    "token_nll",
    "tokenise",
    "train_partition",
    "unique_share",
    "valid_share",
    "vendi",
    "vendi_features",
    "word_overlap",
]
